//! What is asked, in this order, each with the flag that answers it.

use super::answers::{Answers, is_kind};
use crate::config::profile_names;

/// One question.
pub(super) struct Question {
    /// The flag, without its dashes.
    pub(super) flag: &'static str,
    /// The key that its answer goes to, as problems name it.
    pub(super) key: &'static str,
    /// What is asked; a list of what may be answered comes after it, if there is one.
    asks: &'static str,
    pub(super) default: Option<&'static str>,
    pub(super) is_required: bool,
    /// For which kinds of provider or modes it is asked.
    when: When,
    /// What is said of the flag where it is not.
    pub(super) only: &'static str,
}

/// When something is asked.
enum When {
    Always,
    /// With a kind of provider among these.
    Kind(&'static [&'static str]),
    /// With the mode that shuts the portal's own doors.
    Shut,
    /// Never; a flag may say it all the same.
    Flag,
}

pub(super) const QUESTIONS: &[Question] = &[
    Question {
        flag: "public-url",
        key: "portals[0].public_url",
        asks: "The URL that visitors know, such as https://members.example.org",
        default: None,
        is_required: true,
        when: When::Always,
        only: "",
    },
    Question {
        flag: "upstream",
        key: "portals[0].upstream",
        asks: "Where the portal listens, such as http://127.0.0.1:3000",
        default: None,
        is_required: true,
        when: When::Always,
        only: "",
    },
    Question {
        flag: "kind",
        key: "providers.corporate.kind",
        asks: "What people sign in with: entra_id, azure_ad_b2c, external_id or oidc",
        default: Some("entra_id"),
        is_required: true,
        when: When::Always,
        only: "",
    },
    Question {
        flag: "tenant",
        key: "providers.corporate.tenant",
        asks: "The tenant: its GUID or a domain of it; for B2C and External ID its name",
        default: None,
        is_required: true,
        when: When::Kind(&["entra_id", "azure_ad_b2c", "external_id"]),
        only: "there is no tenant with `--kind oidc`",
    },
    Question {
        flag: "issuer",
        key: "providers.corporate.issuer",
        asks: "The provider's issuer, such as https://accounts.example.org",
        default: None,
        is_required: true,
        when: When::Kind(&["oidc"]),
        only: "this is for `--kind oidc`",
    },
    Question {
        flag: "user-flow",
        key: "providers.corporate.policy",
        asks: "The user flow that people sign in with, such as B2C_1_signupsignin",
        default: None,
        is_required: true,
        when: When::Kind(&["azure_ad_b2c"]),
        only: "this is for `--kind azure_ad_b2c`",
    },
    Question {
        flag: "domain",
        key: "providers.corporate.authority",
        asks: "The custom domain of the sign-in pages, such as login.example.org",
        default: None,
        is_required: false,
        when: When::Kind(&["azure_ad_b2c", "external_id"]),
        only: "this is for `--kind azure_ad_b2c` and `--kind external_id`",
    },
    Question {
        flag: "client-id",
        key: "providers.corporate.client_id",
        asks: "The application (client) id",
        default: None,
        is_required: true,
        when: When::Always,
        only: "",
    },
    Question {
        flag: SECRET,
        key: "providers.corporate.credentials",
        asks: "The file with the client secret, such as /run/secrets/client_secret, or env:NAME for \
               an environment variable",
        default: None,
        is_required: true,
        when: When::Always,
        only: "",
    },
    Question {
        flag: "mode",
        key: "portals[0].mode",
        asks: "What visitors without a session meet: azure_only, optional, report_only or off",
        default: Some("azure_only"),
        is_required: true,
        when: When::Always,
        only: "",
    },
    Question {
        flag: "profile",
        key: "portals[0].local_login",
        asks: "The product that the portal is made with, whose password doors are known; `generic` \
               for one that is not listed, or none and `mode: report_only`, where `anteport \
               discover` finds them. There are",
        default: None,
        is_required: false,
        when: When::Shut,
        only: "this is for `--mode azure_only` and `--mode report_only`",
    },
    Question {
        flag: "listen",
        key: "listen.address",
        asks: "Where visitors connect",
        default: None,
        is_required: false,
        when: When::Flag,
        only: "",
    },
    Question {
        flag: "tls-certificate",
        key: "listen.tls",
        asks: "The certificate chain for TLS",
        default: None,
        is_required: false,
        when: When::Flag,
        only: "",
    },
];

/// The flag of the file; a variable has one of its own.
const SECRET: &str = "secret-file";
const VARIABLE: &str = "secret-env";

impl Question {
    /// The question as it is put.
    pub(super) fn in_words(&self) -> String {
        match self.flag {
            "profile" => format!("{} {}", self.asks, profile_names().join(", ")),
            _ => self.asks.to_owned(),
        }
    }

    /// Whether the answers so far leave it open.
    pub(super) fn is_asked(&self, answers: &Answers) -> bool {
        match self.when {
            When::Always => true,
            When::Kind(kinds) => {
                let kind = answers.get("kind").unwrap_or("entra_id");
                // One that is not known says nothing of the others.
                kinds.contains(&kind) || (!is_kind(kind) && answers.get(self.flag).is_some())
            }
            When::Shut => {
                let mode = answers.get("mode").unwrap_or("azure_only");
                !matches!(mode, "optional" | "off")
            }
            When::Flag => answers.get(self.flag).is_some(),
        }
    }

    pub(super) fn is_answered(&self, answers: &Answers) -> bool {
        answers.get(self.flag).is_some() || (self.flag == SECRET && answers.get(VARIABLE).is_some())
    }

    /// Takes an answer as somebody types it.
    pub(super) fn answer(&self, answers: &mut Answers, given: &str) {
        match given.strip_prefix("env:") {
            Some(name) if self.flag == SECRET => answers.set(VARIABLE, name.trim()),
            Some(_) | None => answers.set(self.flag, given),
        }
    }

    /// As if nobody had answered it.
    pub(super) fn forget(&self, answers: &mut Answers) {
        answers.remove(self.flag);
        if self.flag == SECRET {
            answers.remove(VARIABLE);
        }
    }

    /// What is wrong with its answer.
    pub(super) fn fault(&self, answers: &Answers) -> Option<String> {
        match self.flag {
            SECRET => answers.fault_of_secret(),
            _ => answers.fault_at(self.key),
        }
    }
}
