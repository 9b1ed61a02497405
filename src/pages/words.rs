//! What a member is told for each reason code: what happened, and what can be done. The code itself
//! stands beside it on the page, for the operator.

use crate::catalogue::Class;

/// A reason in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// What happened, in a few words.
    pub title: &'static str,
    /// What to make of it, and what to do.
    pub sentence: &'static str,
}

/// The words for a reason code; general ones for a code that has none of its own.
#[must_use]
pub fn explain(code: &str) -> Words {
    let (title, sentence) = match code {
        "local-login-blocked" => (
            "Passwords are no longer used here",
            "This portal now signs you in with your corporate account. The old password form is \
             closed, for everybody.",
        ),
        "no-route" | "endpoint-unknown" => (
            "This page is not available",
            "Nothing is offered at this address. Check it for a typing error, or start from the \
             portal’s first page.",
        ),
        "verify-peer" | "verify-description" | "verify-own" => (
            "The site is not set up completely",
            "The server in front of the portal asked for this page in a way that cannot be answered. \
             Tell whoever runs the portal.",
        ),
        "verify-header" => (
            "This request cannot be passed on",
            "It has something with it that only the portal’s own servers may say. Open the page \
             anew, without programs that change what the browser sends.",
        ),
        "verify-form" => (
            "This form cannot be passed on",
            "What it says would have to be looked at, and cannot be here. Tell whoever runs the \
             portal.",
        ),
        "sign-in-required" => (
            "Please sign in",
            "Your session has ended or has not begun. Open the portal’s first page, sign in, and \
             try again.",
        ),
        "sign-in-too-old" => (
            "Please sign in again",
            "Your sign-in is too long ago for this. Reload the page, which asks you to sign in once \
             more.",
        ),
        "step-up-required" => (
            "This asks for a stronger sign-in",
            "Reload the page, which sends you to confirm who you are, and try again.",
        ),
        "role-missing" | "group-missing" | "claim-missing" => (
            "Your account may not see this",
            "You are signed in, and this page is for others: your account has not the role, group or \
             entry that it asks for. If you should have it, ask whoever runs the portal.",
        ),
        "groups-left-out" => (
            "It cannot be said whether you may see this",
            "Your account is in more groups than the sign-in service lists, so it is not known \
             whether it is in the one that this page asks for. Tell whoever runs the portal.",
        ),
        "groups-unknown" => (
            "It cannot be said whether you may see this",
            "Which groups your account is in could not be found out when you signed in. Sign out, \
             wait a moment, and sign in again.",
        ),
        "tenant-not-admitted" | "account-not-admitted" => (
            "Your account may not see this",
            "You are signed in, and this page is for accounts of another kind or organisation. Sign \
             out and sign in with the one that is meant, or ask whoever runs the portal.",
        ),
        "acr-missing" | "amr-missing" => (
            "This page asks for another kind of sign-in",
            "You are signed in, but not in the way that this page asks for, such as with a second \
             factor. Sign out and sign in that way, or ask whoever runs the portal.",
        ),
        "host-unknown" => (
            "This address leads nowhere",
            "No portal is known under this name. Check the address, or ask whoever gave it to you.",
        ),
        "method-unknown" | "endpoint-method" => (
            "This cannot be done here",
            "Your browser asked in a way that this address does not support. Go back and try \
             again from the page before.",
        ),
        "forms-busy" => (
            "Too much is going on",
            "More forms are being sent than can be looked at together. Wait a moment and send yours \
             again.",
        ),
        "form-kept" => (
            "You were signed out. Nothing was sent.",
            "Your session had ended when you sent this form. What you typed is not lost: it waits in \
             this page for half an hour, sealed, so that you can send it once more.",
        ),
        "break-glass-closed" => (
            "This stays closed",
            "What needs a right of yours is not opened by a break-glass link, because nobody is signed \
             in with a corporate account. Sign out at the entrance to give the pass back.",
        ),
        "break-glass-link" => (
            "This link opens nothing",
            "It was changed on its way, is for another portal, or the portal’s entrance has been \
             restarted since it was made. Have a new one made.",
        ),
        "break-glass-expired" => (
            "This link is too old",
            "Such a link is good for a few minutes only. Have a new one made.",
        ),
        "break-glass-used" => (
            "This link was used already",
            "It opens the way once. If that was not you, tell whoever runs the portal at once; else \
             have a new one made.",
        ),
        "break-glass-ended" => (
            "This link is over",
            "Whoever runs the portal has ended all links of this kind, or the portal’s entrance was \
             restarted. Have a new one made.",
        ),
        "break-glass-elsewhere" => (
            "Nothing was opened",
            "Another site asked for it in your name, which only a page of this portal may. Open the \
             link itself.",
        ),
        "form-too-large" => (
            "You were signed out. Nothing was sent.",
            "Your session had ended when you sent this form, and it is too large to wait here. Your \
             browser still has what you typed: sign in, then go back from here to the form and send it \
             again.",
        ),
        "form-other-member" => (
            "This form is another member’s. Nothing was sent.",
            "Somebody else was signed in when it was filled in, and it is sent in nobody else’s name. It \
             waits in this page for whoever it was.",
        ),
        "form-elsewhere" => (
            "Nothing was sent",
            "Another site asked for a form to be sent in your name, which only a page of this portal \
             may. If you did not mean to, you can just go on.",
        ),
        "form-unreadable" => (
            "This form cannot be sent any more",
            "It was changed on its way, was kept for another address, or the portal’s entrance has been \
             restarted since. Nothing was sent. Go back to the form itself, where your browser may still \
             have what you typed.",
        ),
        "form-expired" => (
            "This form has waited too long",
            "A form waits for half an hour, and this one is older. Nothing was sent. Go back to the form \
             itself, where your browser may still have what you typed.",
        ),
        "form-used" => (
            "This form was sent already",
            "It went to the portal once, and is not sent a second time. See there what came of it.",
        ),
        "address-busy" => (
            "Too much is going on",
            "Very many requests come from where you are, and the portal has not answered them yet. \
             Wait a moment and reload the page.",
        ),
        "sign-outs-busy" => (
            "Too much is going on",
            "Very many sign-outs come from where you are. Wait a minute and try again.",
        ),
        "logout-token-keys" => (
            "This sign-out cannot be looked at just now",
            "The sign-in service said that somebody has signed out, and cannot be asked whether it \
             did. It will try again.",
        ),
        code if code.starts_with("logout-token-") => (
            "This sign-out was not accepted",
            "The sign-in service said that somebody has signed out, and could not be believed. Tell \
             whoever runs the portal.",
        ),
        "request-timeout" => (
            "This request took too long",
            "What you sent did not arrive in time. Check your connection and send it again.",
        ),
        code if code.starts_with("path-") || code == "target-form" => (
            "This address cannot be read",
            "It has characters that could mean two different things, so it was not passed on. \
             Check the link, or start from the portal’s first page.",
        ),
        "head-too-large" => (
            "This request is too large",
            "Your browser sent more along with the address than is taken here, mostly cookies. \
             Delete the cookies of this site and try again.",
        ),
        "host-ambiguous"
        | "header-repeated"
        | "visitor-broken"
        | "request-malformed"
        | "expectation-unknown" => (
            "This request cannot be read",
            "Your browser, or something between it and us, sent a request that could mean two \
             different things. Try again; if it stays, tell whoever runs the portal.",
        ),
        "body-too-large" => (
            "This is too much to send",
            "What you sent is larger than the portal takes at this address. Send less, or a smaller \
             file.",
        ),
        "upstream-unreachable"
        | "upstream-connect-timeout"
        | "upstream-tls"
        | "upstream-stalled"
        | "upstream-broken" => (
            "The portal does not answer",
            "The portal behind this page is not reachable just now. Wait a moment and reload the page.",
        ),
        "upstream-busy" => (
            "The portal is very busy",
            "More people are using it just now than it can serve at once. Wait a moment and \
             reload the page.",
        ),
        "upstream-response-timeout" => (
            "The portal takes too long",
            "The portal did not answer in time. What you sent may still have arrived: check \
             before you send it again.",
        ),
        "session-ended" => (
            "You have been signed out",
            "Your session has ended, and with it what was still open. Sign in again to go on.",
        ),
        "login-cancelled" => (
            "Sign-in cancelled",
            "You stopped the sign-in before it was finished. Nothing has changed; you can start \
             again whenever you like.",
        ),
        "login-signed-out" => (
            "You have signed out",
            "Meanwhile somebody signed out, so this sign-in was not finished. Start it again if you \
             want to go on.",
        ),
        "login-expired" => (
            "The sign-in took too long",
            "It was left open for more than ten minutes, so it has to be started again.",
        ),
        "refresh-unavailable" => (
            "This sign-in cannot be refreshed",
            "The sign-in service gave nothing to ask it again with, or the request came from \
             another site. Sign out and in again to see what is new.",
        ),
        "refresh-failed" => (
            "Nothing new just now",
            "The sign-in service could not be asked. You are signed in as before; try again in a \
             minute.",
        ),
        "session-random" => (
            "Something is missing here",
            "The machine that signs people in has run out of randomness, so nothing was begun. \
             Nothing has reached the portal; try again.",
        ),
        "session-too-large" => (
            "Too much to keep",
            "The sign-in service says more about this account than your browser can keep, so you \
             were not signed in. Whoever runs this portal can mend that.",
        ),
        "session-store-unavailable" => (
            "Nobody can say just now who you are",
            "You have not been signed out, and nothing that you sent has reached the portal. Wait \
             for a moment and reload the page.",
        ),
        "login-password-forgotten" => (
            "A new password",
            "Nothing has changed yet. Choose a new password with the sign-in service, then sign in \
             with it.",
        ),
        "login-other-member" => (
            "This is somebody else’s account",
            "You were signed in as one person and came back as another. You have been signed out, \
             so that nothing is mixed up; sign in again with the account that you want.",
        ),
        "client-secret-refused" | "client-credential-refused" | "client-credential-unavailable" => {
            (
                "Sign-in is not available right now",
                "The portal’s own access to the sign-in service is not accepted. Whoever runs the \
             portal has to renew it; members who are signed in can go on.",
            )
        }
        "token-auth-time" => (
            "Please sign in afresh",
            "Your last sign-in with the sign-in service was too long ago for this page. Sign in \
             again, and enter your password there.",
        ),
        "token-context" => (
            "A stronger sign-in is needed",
            "This page asks for more proof of who you are, and the sign-in service did not ask for \
             it or did not get it. Try again; if it stays like this, tell whoever runs the portal.",
        ),
        "token-guest" => (
            "This account is a guest here",
            "The portal takes only accounts of its own organisation. Sign in with another \
             account, or ask whoever runs the portal.",
        ),
        "token-expired" | "token-not-yet-valid" | "token-too-old" => (
            "The sign-in did not succeed",
            "The clocks of the portal and of the sign-in service do not agree. Try once more; if \
             it stays like this, send the details below to whoever runs the portal.",
        ),
        "identity-groups-unresolved" => (
            "Sign-in is not available right now",
            "The portal has to be told which groups your account is in, and that could not be found \
             out. Wait a moment and try again.",
        ),
        "identity-email-unverified" => (
            "Your e-mail address is not verified",
            "The portal takes only addresses that somebody has verified, and the sign-in service does \
             not say that yours is. Verify it there and try again; if it stays like this, send the \
             details below to whoever runs the portal.",
        ),
        code if code.starts_with("identity-") => (
            "You cannot be let in as you are",
            "The portal could not be told who you are. Send the details below to whoever runs it.",
        ),
        "login-replayed" | "login-not-pending" | "login-state-mismatch" | "login-state-missing" => {
            (
                "This sign-in is no longer open",
                "It was finished before, began in another browser, or the page was opened from an old \
             link. Start again from here.",
            )
        }
        "login-loop" => (
            "Signing in does not get anywhere",
            "Several sign-ins began within a minute, and after each of them nobody was signed in. So \
             it stops here. Mostly it is one of these:",
        ),
        "member-unknown" | "member-registration-closed" => (
            "You are not a member here yet",
            "Your sign-in succeeded, and this portal does not know your account. If you should have \
             access, ask whoever runs it.",
        ),
        "member-not-invited" => (
            "An invitation is needed here",
            "Your sign-in succeeded, and this portal has no invitation for your account. If you have \
             been invited, sign in with the account whose address the invitation went to.",
        ),
        "member-vetoed" => (
            "You cannot come in",
            "Your sign-in succeeded, and this portal does not let your account in. If you think that \
             it should, ask whoever runs it.",
        ),
        "member-inactive" => (
            "Your membership is not active",
            "Your sign-in succeeded, and your account in this portal is switched off or not switched \
             on yet. If it should be, ask whoever runs it.",
        ),
        "member-conflict" => (
            "There is another account in the way",
            "This portal has an account with your name or address already that is not connected to \
             the way you sign in. Whoever runs it can connect them.",
        ),
        "member-without-rights" => (
            "There is nothing here for your account",
            "Your sign-in succeeded, and your account has none of the rights that this portal asks \
             for, so none was made for you. If you should have one, ask whoever runs it.",
        ),
        "directory-unavailable"
        | "directory-refused"
        | "directory-answer"
        | "directory-ambiguous" => (
            "Your membership cannot be looked up right now",
            "Your sign-in succeeded, and this portal’s list of members could not be asked for you. \
             Wait a minute and try again; members who are signed in can go on.",
        ),
        "login-interaction-required" => (Class::Interaction.title(), Class::Interaction.sentence()),
        "login-misconfigured" => (Class::Operator.title(), Class::Operator.sentence()),
        "login-broken-off" => (Class::Again.title(), Class::Again.sentence()),
        "login-refused-by-provider" => (
            "Your account could not be signed in",
            "Microsoft did not let this sign-in through. If you should have access, send the \
             details below to whoever runs the portal.",
        ),
        code if code.starts_with("provider-") || code.starts_with("client-") => (
            "Sign-in is not available right now",
            "The sign-in service could not be asked. Members who are signed in can go on. Try \
             again in a few minutes; if it stays like this, tell whoever runs the portal.",
        ),
        code if code.starts_with("login-") || code.starts_with("token-") => (
            "The sign-in did not succeed",
            "Try it once more. If it stays like this, send the details below to whoever runs the \
             portal.",
        ),
        _ => (
            "Something went wrong",
            "This request could not be answered. Try again; if it stays like this, send the \
             details below to whoever runs the portal.",
        ),
    };
    Words { title, sentence }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::{Lack, PathError, Refusal};

    #[test]
    fn every_refusal_of_the_gate_has_words_of_its_own() {
        let general = explain("");
        for refusal in [
            Refusal::Host,
            Refusal::UnknownHost,
            Refusal::Method,
            Refusal::Target,
            Refusal::Path(PathError::Segment),
            Refusal::HeadTooLarge,
            Refusal::RepeatedHeader,
            Refusal::NoRoute,
            Refusal::PasswordRoute { rule: 0 },
            Refusal::SignInRequired,
        ] {
            assert_ne!(explain(refusal.code()), general, "{}", refusal.code());
        }
        for lack in Lack::ALL {
            assert_ne!(explain(lack.code()), general, "{}", lack.code());
        }
    }
}
