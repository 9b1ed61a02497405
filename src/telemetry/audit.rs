//! One event for each time that somebody was let in, out or refused (LOG-03). It names a member by
//! key, `tid.oid`, and never by a claim.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::log::Shown;
use crate::gate::Timestamp;

/// The target of audit events. They are always written.
pub const TARGET: &str = "anteport::audit";

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A login became a session.
    LoginSucceeded,
    /// A login did not.
    LoginFailed,
    /// A login was tried, of which no session was to come.
    LoginTested,
    /// Somebody chose a new password at the provider; the sign-in comes next.
    PasswordReset,
    /// Somebody without a session changed their profile at the provider; the sign-in comes next.
    ProfileEdited,
    /// A session ended because somebody wanted it to.
    LoggedOut,
    /// A session ended because the provider no longer vouches for its member, or by whoever runs
    /// this.
    SessionRevoked,
    /// Everybody who had signed in until some moment has to do it anew.
    EverybodyRevoked,
    /// One of the portal's password entrances was asked for.
    PasswordRouteRefused,
    /// Somebody who signed in was created in the portal's directory of members.
    MemberCreated,
    /// Somebody who signed in was linked to an account there that had waited for them.
    MemberLinked,
    /// A member signed in for the first time.
    FirstLogin,
    /// A member asked for what they have no right to.
    MemberRefused,
    /// A member goes on as nobody, because the portal cannot be told of them: once a session.
    MemberUntold,
    /// A form that had met an expired session was sent again by its member.
    FormResent,
    /// Whoever runs this made a link to the portal's own sign-in.
    BreakGlassMade,
    /// Somebody opened one, and has a pass.
    BreakGlassOpened,
    /// One of the portal's password entrances was let through by a broken glass.
    BreakGlassUsed,
    /// Somebody tried a link that is not good.
    BreakGlassRefused,
    /// Whoever runs this ended all links of a portal, and what they opened.
    BreakGlassEnded,
    /// Other sealing keys are in force.
    SealingKeysChanged,
    /// Other signing keys are in force.
    SigningKeysChanged,
    /// Another configuration is in force.
    ConfigurationReloaded,
    /// One was read again, and is not.
    ConfigurationRefused,
    /// The process began to serve.
    Started,
    /// The process stopped serving.
    Stopped,
}

impl Event {
    /// All of them, in their order.
    pub const ALL: [Self; 26] = [
        Self::LoginSucceeded,
        Self::LoginFailed,
        Self::LoginTested,
        Self::PasswordReset,
        Self::ProfileEdited,
        Self::LoggedOut,
        Self::SessionRevoked,
        Self::EverybodyRevoked,
        Self::PasswordRouteRefused,
        Self::MemberCreated,
        Self::MemberLinked,
        Self::FirstLogin,
        Self::MemberRefused,
        Self::MemberUntold,
        Self::FormResent,
        Self::BreakGlassMade,
        Self::BreakGlassOpened,
        Self::BreakGlassUsed,
        Self::BreakGlassRefused,
        Self::BreakGlassEnded,
        Self::SealingKeysChanged,
        Self::SigningKeysChanged,
        Self::ConfigurationReloaded,
        Self::ConfigurationRefused,
        Self::Started,
        Self::Stopped,
    ];

    /// Its stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoginSucceeded => "login-succeeded",
            Self::LoginFailed => "login-failed",
            Self::LoginTested => "login-tested",
            Self::PasswordReset => "password-reset",
            Self::ProfileEdited => "profile-edited",
            Self::LoggedOut => "logged-out",
            Self::SessionRevoked => "session-revoked",
            Self::EverybodyRevoked => "everybody-revoked",
            Self::PasswordRouteRefused => "password-route-refused",
            Self::MemberCreated => "member-created",
            Self::MemberLinked => "member-linked",
            Self::FirstLogin => "first-login",
            Self::MemberRefused => "member-refused",
            Self::MemberUntold => "member-untold",
            Self::FormResent => "form-resent",
            Self::BreakGlassMade => "break-glass-made",
            Self::BreakGlassOpened => "break-glass-opened",
            Self::BreakGlassUsed => "break-glass-used",
            Self::BreakGlassRefused => "break-glass-refused",
            Self::BreakGlassEnded => "break-glass-ended",
            Self::SealingKeysChanged => "sealing-keys-changed",
            Self::SigningKeysChanged => "signing-keys-changed",
            Self::ConfigurationReloaded => "configuration-reloaded",
            Self::ConfigurationRefused => "configuration-refused",
            Self::Started => "started",
            Self::Stopped => "stopped",
        }
    }
}

/// How often each was written; of the whole process, as the log itself is.
static WRITTEN: [AtomicU64; Event::ALL.len()] = [const { AtomicU64::new(0) }; Event::ALL.len()];

/// How many events of this kind were written.
#[must_use]
pub fn written(event: Event) -> u64 {
    WRITTEN.get(event as usize).map_or(0, |count| count.load(Relaxed))
}

/// What is noted of an event; what does not apply is `None`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Audit<'a> {
    /// The request that it came with.
    pub request_id: Option<&'a str>,
    /// The portal.
    pub portal: Option<&'a str>,
    /// The provider, by its name in the configuration.
    pub provider: Option<&'a str>,
    /// The member's key.
    pub member: Option<&'a str>,
    /// The session's handle, or the name of a break-glass link; it opens nothing.
    pub session: Option<&'a str>,
    /// When the member signed in first and last, before this.
    pub earlier: Option<(Timestamp, Timestamp)>,
    /// The address that the visitor is at.
    pub peer: Option<std::net::IpAddr>,
    /// What it was done for.
    pub reason: Option<&'a str>,
    /// The reason code.
    pub code: Option<&'a str>,
    /// Why, with its causes: errors of ours, which hold no secret.
    pub cause: Option<&'a str>,
    /// The provider's own code, `AADSTS…`.
    pub provider_code: Option<&'a str>,
    /// By what the provider's support finds the sign-in.
    pub correlation_id: Option<&'a str>,
    /// And the request.
    pub trace_id: Option<&'a str>,
    /// When it was there, by the provider's clock.
    pub provider_time: Option<&'a str>,
    /// What the operator can do: a text of ours.
    pub advice: Option<&'a str>,
}

/// Writes an audit event.
pub fn write(event: Event, audit: &Audit<'_>) {
    if let Some(count) = WRITTEN.get(event as usize) {
        count.fetch_add(1, Relaxed);
    }
    let shown = |text| tracing::field::display(Shown::new(text, 256));
    tracing::info!(
        target: TARGET,
        {
            event.name = event.as_str(),
            request.id = audit.request_id,
            portal = audit.portal,
            provider = audit.provider,
            member = audit.member.map(shown),
            session = audit.session,
            member.first_login = audit.earlier.map(|(first, _)| first.to_utc_date_time()),
            member.last_login = audit.earlier.map(|(_, last)| last.to_utc_date_time()),
            client.address = audit.peer.map(tracing::field::display),
            reason = audit.reason,
            code = audit.code,
            cause = audit.cause.map(|cause| tracing::field::display(Shown::new(cause, 512))),
            provider.code = audit.provider_code.map(shown),
            provider.correlation_id = audit.correlation_id.map(shown),
            provider.trace_id = audit.trace_id.map(shown),
            provider.time = audit.provider_time.map(shown),
            advice = audit.advice.map(|advice| tracing::field::display(Shown::new(advice, 512))),
        },
        "audit"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_its_own_count() {
        for (index, event) in Event::ALL.into_iter().enumerate() {
            assert_eq!(event as usize, index, "{}", event.as_str());
        }
        // The last of the enumeration: what is added behind it belongs into the list, too.
        assert_eq!(Event::Stopped as usize + 1, Event::ALL.len());
        let before = written(Event::MemberUntold);
        write(Event::MemberUntold, &Audit::default());
        assert!(written(Event::MemberUntold) > before);
    }
}
