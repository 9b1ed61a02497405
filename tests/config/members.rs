//! What is written under `members`; what is wrong with it is in the fixtures.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::*;
use anteport::config::{DirectoryKind, Open, Source, Unknown};

#[test]
fn members_are_what_is_written_and_by_provider_what_is_written_there() {
    let text = include_str!("../fixtures/config/members.yaml");
    let loaded = config::parse("members.yaml", text, &environment, NOON).unwrap();
    let members: Vec<_> =
        loaded.config.portals.iter().map(|portal| portal.members.as_ref().unwrap()).collect();
    let first = members[0];
    assert_eq!((first.unknown, first.registration.is), (Unknown::Provision, Open::ToInvited));
    let own = first.registration_by("corporate");
    assert_eq!(own.is, Open::ToAll);
    assert_eq!(own.message.as_deref(), Some("Ask the secretary for an invitation."));
    assert_eq!(first.registration_by("other").is, Open::ToInvited);
    assert_eq!(first.first_login[1].name, "enterprise.employeeNumber");
    let directory = first.directory.as_ref().unwrap();
    assert!(matches!(directory.kind, DirectoryKind::Scim(_)));
    assert!(!format!("{first:?}").contains(CANARY));
    // With nothing written, everybody comes in and nobody is asked.
    assert_eq!((members[1].unknown, members[1].links_by_address), (Unknown::Allow, false));
    assert!(members[1].directory.is_none() && members[1].first_login.is_empty());
    // A webhook is told the usual claims of somebody new.
    let told: Vec<&str> = members[2].first_login.iter().map(|attribute| &*attribute.name).collect();
    assert_eq!(told, ["name", "given_name", "family_name", "email"]);
    assert_eq!(members[2].first_login[3].from, Source::VerifiedAddress);
    let minimal = config::parse("minimal.yaml", MINIMAL, &environment, NOON).unwrap();
    assert!(minimal.config.portals[0].members.is_none());
}

#[test]
fn cfg_05_an_emulated_configuration_listens_on_this_machine_alone() {
    let folder = Folder::new();
    let minimal = include_str!("../fixtures/config/minimal.yaml");
    let variable = "${LISTEN_OF_NOBODY:-0.0.0.0:1}";
    for (address, becomes) in [
        ("0.0.0.0:8443", "127.0.0.1:8443"),
        ("[::]:8443", "127.0.0.1:8443"),
        ("192.0.2.7:80", "127.0.0.1:80"),
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("[::1]:8080", "[::1]:8080"),
    ] {
        // Also where the file says it by a variable, which may say something else later.
        let path = folder.write("config.yaml", &minimal.replace("0.0.0.0:8443", variable));
        let (authority, listen) = ("http://127.0.0.1:8081", address.parse().unwrap());
        let emulated = config::emulated(&path, authority, None, listen).unwrap();
        assert!(!emulated.contains("LISTEN_OF_NOBODY"), "{emulated}");
        let loaded = config::parse("emulated.yaml", &emulated, &environment, NOON).unwrap();
        assert_eq!(loaded.config.listen.address.to_string(), becomes);
    }
}

/// Where a configuration listens.
pub(super) const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8443);

/// CFG-05: whom the emulator signs in is nobody to a real directory.
#[test]
fn cfg_05_an_emulated_configuration_asks_no_directory() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/config/members.yaml");
    let emulated =
        config::emulated(Path::new(folder), "http://127.0.0.1:8081", None, HERE).unwrap();
    assert!(!emulated.contains("directory.example.org") && !emulated.contains("127.0.0.1:4000"));
    let loaded = config::parse("emulated.yaml", &emulated, &environment, NOON).unwrap();
    assert!(loaded.config.portals.iter().all(|portal| portal.members.is_none()));
}
