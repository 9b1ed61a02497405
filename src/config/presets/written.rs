//! What an operator wrote about presets, as far as it could be read.

use url::Url;

use super::{CLOUDFLARE_ACCESS, POMERIUM, PresetClaims};
use crate::config::context::{Located, Spot};
use crate::config::kind::Unfit;
use crate::config::section::Section;
use crate::config::{keys::presets::PRESETS, value};
use crate::signing_key::SigningAlgorithm;

/// What an operator wrote about presets.
pub(in crate::config) struct PresetsFile {
    /// `None` if one of them was reported.
    pub(super) names: Option<Vec<Located<&'static str>>>,
    pub(in crate::config) only_way_in: Option<Located<bool>>,
    pub(super) addresses_are_theirs: Option<Located<bool>>,
    pub(super) claims: Option<PresetClaims>,
    pub(super) sections: Sections,
    /// Which sections are there, readable or not, each with its place.
    pub(super) written: Vec<(&'static str, Spot)>,
}

/// The sections of single presets, as far as they could be read; `None` also where there is none.
#[derive(Default)]
pub(super) struct Sections {
    pub(super) provider_name: Option<Located<String>>,
    pub(super) oauth2_proxy: Option<(bool, bool)>,
    pub(super) cloudflare_access: Option<(String, Option<Url>, bool)>,
    pub(super) google_iap: Option<(String, bool)>,
    pub(super) aws_alb: Option<AwsAlb>,
    pub(super) pomerium: Option<(bool, Vec<Located<String>>)>,
}

pub(super) struct AwsAlb {
    pub(super) signer: String,
    pub(super) issuer: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) claims: Vec<String>,
    pub(super) plain: bool,
}

/// Reads what stands in `identity`.
pub(in crate::config) fn read(section: &Section<'_>) -> PresetsFile {
    let known = |text: &str| PRESETS.into_iter().find(|preset| *preset == text).ok_or(Unfit::Kind);
    let names = match section.has("preset") {
        true => section.values("preset", known),
        false => Some(Vec::new()),
    };
    let written = PRESETS.into_iter().filter(|preset| section.is_a_key(preset));
    let written = written.filter(|preset| section.has(preset));
    PresetsFile {
        names,
        only_way_in: section.value("only_way_in", value::yes_or_no),
        addresses_are_theirs: section.value("addresses_are_theirs", value::yes_or_no),
        claims: section.section("preset_claims").and_then(|section| claims(&section)),
        sections: Sections {
            provider_name: section
                .section("easy_auth")
                .and_then(|section| section.value("provider_name", provider_name)),
            oauth2_proxy: section.section("oauth2_proxy").and_then(|section| {
                let families = section
                    .value("headers", |word| Ok((word != "auth_request", word != "forwarded")));
                families.map(|families| families.value)
            }),
            cloudflare_access: section.section(CLOUDFLARE_ACCESS).and_then(|section| {
                let audience = section.value("audience", value::audience);
                let domain =
                    section.if_there("team_domain", |key| section.value(key, value::origin));
                let plain = section.value("plain_headers", value::yes_or_no);
                Some((audience?.value, domain?.map(|domain| domain.value), plain?.value))
            }),
            google_iap: section.section("google_iap").and_then(|section| {
                let audience = section.value("audience", value::audience);
                let plain = section.value("plain_headers", value::yes_or_no);
                Some((audience?.value, plain?.value))
            }),
            aws_alb: section.section("aws_alb").and_then(|section| aws_alb(&section)),
            pomerium: section.section(POMERIUM).and_then(|section| {
                let is_uri = section.value("issuer", |word| Ok(word == "uri"));
                let headers =
                    section.if_there("claim_headers", |key| section.values(key, value::claim));
                // What is wrong with one does not hide what is with the other.
                let is_uri = is_uri.is_some_and(|is_uri| is_uri.value);
                Some((is_uri, headers?.unwrap_or_default()))
            }),
        },
        written: written.map(|preset| (preset, section.spot_of(preset))).collect(),
    }
}

fn claims(section: &Section<'_>) -> Option<PresetClaims> {
    let claim =
        |name: &str| section.value(name, value::claim_path).map(|claim| claim.value.to_string());
    let user = section.if_there("user", claim);
    let (email, name, groups) = (claim("email"), claim("name"), claim("groups"));
    Some(PresetClaims { user: user?, email: email?, name: name?, groups: groups? })
}

fn aws_alb(section: &Section<'_>) -> Option<AwsAlb> {
    let text = |name: &str| section.value(name, value::audience).map(|text| text.value);
    let signer = text("signer");
    let (issuer, client_id) =
        (section.if_there("issuer", text), section.if_there("client_id", text));
    let claims = section.if_there("claims", |key| section.values(key, value::claim));
    let plain = section.value("plain_headers", value::yes_or_no);
    Some(AwsAlb {
        signer: signer?,
        issuer: issuer?,
        client_id: client_id?,
        claims: claims?.into_iter().flatten().map(|claim| claim.value).collect(),
        plain: plain?.value,
    })
}

fn provider_name(text: &str) -> Result<String, Unfit> {
    value::slug(text).and_then(|name| if name.len() <= 32 { Ok(name) } else { Err(Unfit::Kind) })
}

impl PresetsFile {
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.iter().flatten().any(|preset| preset.value == name)
    }

    /// The place of a preset's section, or of its name where it has none.
    pub(super) fn spot_of(&self, name: &str) -> Option<&Spot> {
        let section = self.written.iter().find(|(written, _)| *written == name);
        let named = || self.names.iter().flatten().find(|preset| preset.value == name);
        section.map(|(_, spot)| spot).or_else(|| Some(&named()?.spot))
    }

    /// What presets sign with, each with the place of its name.
    pub(in crate::config) fn algorithms(&self) -> impl Iterator<Item = (&Spot, SigningAlgorithm)> {
        self.names.iter().flatten().filter_map(|preset| {
            let algorithm = match preset.value {
                CLOUDFLARE_ACCESS => SigningAlgorithm::Rs256,
                "google_iap" | "aws_alb" | POMERIUM => SigningAlgorithm::Es256,
                _ => return None,
            };
            Some((&preset.spot, algorithm))
        })
    }
}
