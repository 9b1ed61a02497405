//! What a service manager hears: readiness, life, and the end (`sd_notify(3)`).

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::portal::Portal;
use crate::running::{Folder, Running, SOON};

fn hears(manager: &UnixDatagram) -> String {
    let mut said = [0; 4096];
    let length = manager.recv(&mut said).unwrap();
    String::from_utf8(said[..length].to_vec()).unwrap()
}

/// Leaves out what is said again and again.
fn hears_next(manager: &UnixDatagram) -> String {
    loop {
        let said = hears(manager);
        if said != "WATCHDOG=1" {
            return said;
        }
    }
}

#[test]
fn a_manager_hears_of_readiness_life_and_the_end() {
    let folder = Folder::new();
    let path = folder.at("notify");
    let by_path = UnixDatagram::bind(&path).unwrap();
    let name = format!("anteport-manager-{}", std::process::id());
    let by_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    for (manager, place) in [(by_path, path.display().to_string()), (by_name, format!("@{name}"))] {
        manager.set_read_timeout(Some(SOON)).unwrap();
        let environment = [("NOTIFY_SOCKET", &*place), ("WATCHDOG_USEC", "200000")];
        let portal = Portal::start();
        let mut running = Running::start_with(portal.port, "", &environment);
        assert_eq!(hears_next(&manager), "READY=1\nSTATUS=Serving");
        assert_eq!(running.readyz().0, 200, "ready means ready");
        for _ in 0..3 {
            assert_eq!(hears(&manager), "WATCHDOG=1");
        }
        running.signal("-HUP");
        assert!(hears_next(&manager).starts_with("RELOADING=1\nMONOTONIC_USEC="));
        assert_eq!(hears_next(&manager), "READY=1\nSTATUS=Serving");
        running.signal("-TERM");
        assert!(hears_next(&manager).starts_with("STOPPING=1\nSTATUS=Draining"));
        assert_eq!(running.ends().code(), Some(0));
    }
}

#[test]
fn a_manager_is_told_who_is_the_main_process_and_hears_no_stop() {
    let folder = Folder::new();
    let path = folder.at("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(SOON)).unwrap();
    let portal = Portal::start();
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "60000000")];
    let mut running = Running::start_with(portal.port, "", &environment);
    assert_eq!(hears_next(&manager), "READY=1\nSTATUS=Serving");
    running.upgrade(1);
    assert_eq!(hears_next(&manager), "STATUS=Handing over to a new process");
    assert_eq!(hears_next(&manager), format!("MAINPID={}", running.pid));
    // It is the new one that says this.
    assert_eq!(hears_next(&manager), "READY=1\nSTATUS=Serving");
    assert_eq!(running.ends().code(), Some(0));
    running.signal("-TERM");
    assert!(hears_next(&manager).starts_with("STOPPING=1\n"));
}
