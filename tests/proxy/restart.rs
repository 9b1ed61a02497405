//! A planned restart, and keys that change: nobody who is signed in notices, and nobody who signed
//! out comes back.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::world::browser::Browser;
use crate::world::folder::Folder;
use crate::world::patience::eventually;
use crate::world::{Plan, World};

fn with_keys() -> Folder {
    let folder = Folder::new();
    folder.write("key", &STANDARD.encode([1; 32]));
    folder.write("second", &STANDARD.encode([2; 32]));
    folder
}

fn snapshot(folder: &Folder) -> PathBuf {
    folder.at("sessions")
}

fn plan(folder: &Folder) -> Plan {
    let at = |name: &str| folder.at(name).display().to_string();
    let sessions = format!(
        "{{ keys: [{{ file: \"{}\" }}, {{ file: \"{}\" }}], snapshot: \"{}\", \
         absolute_timeout: 4h }}",
        at("key"),
        at("second"),
        at("sessions")
    );
    Plan { kept_sessions: Some(sessions), ..Plan::default() }
}

async fn is_member(browser: &mut Browser) -> bool {
    let answer = browser.open("/reports").await;
    assert!([200, 303].contains(&answer.status), "{answer:?}");
    answer.status == 200
}

#[tokio::test]
async fn sess_09_a_planned_restart_signs_nobody_out_and_nobody_in() {
    let folder = with_keys();
    let mut world = World::start_with(plan(&folder)).await;
    let mut ada = world.treasurer().await;
    let (mut gone, mut ended) = (world.treasurer().await, world.treasurer().await);
    let (before_sign_out, before_end) = (gone.clone(), ended.clone());
    assert_eq!(gone.open("/.auth/logout").await.status, 303);
    assert_eq!(ended.open("/.auth/logout").await.status, 303);
    // A login that is under way, too.
    let mut late = world.browser();
    let callback = late.sign_in_to_callback("/reports?late", "treasurer@harborclub.example").await;
    world.proxy_goes_down().await;
    let snapshot = snapshot(&folder);
    assert_eq!(fs::metadata(&snapshot).unwrap().permissions().mode() & 0o777, 0o600);
    let first = fs::read(&snapshot).unwrap();
    for said in ["harborclub", "treasurer", "127.0.0.1", "corporate"] {
        assert!(!String::from_utf8_lossy(&first).contains(said), "{said} can be read");
    }
    world.proxy_comes_up();
    assert!(is_member(&mut ada).await, "at once");
    for mut copy in [gone.clone(), ended.clone(), before_sign_out.clone(), before_end.clone()] {
        assert!(!is_member(&mut copy).await, "SESS-04: a sign-out is one");
    }
    let landed = late.open_url(&callback).await;
    let landed = late.follow_from(landed).await;
    assert_eq!((landed.status, landed.url.query()), (200, Some("late")), "{}", landed.text());
    let mut again = late.clone();
    let again = again.open_url(&callback).await;
    assert_ne!(again.status, 200, "OIDC-02");
    assert!(!snapshot.exists(), "it is read once");
    assert_eq!(world.metric("anteport_sessions_restored_total").await, 1.0);
    // She signs out now, and somebody puts the file back.
    let mut copy = ada.clone();
    assert_eq!(ada.open("/.auth/logout").await.status, 303);
    world.proxy_goes_down().await;
    fs::write(&snapshot, &first).unwrap();
    fs::set_permissions(&snapshot, Permissions::from_mode(0o600)).unwrap();
    world.proxy_comes_up();
    assert!(!is_member(&mut copy).await, "a copy of an earlier one signs nobody in");
    assert!(!snapshot.exists());
    assert_eq!(world.metric("anteport_sessions_restored_total").await, 0.0);
    let again = world.treasurer().await;
    world.restart().await;
    assert!(is_member(&mut again.clone()).await, "and the next is believed again");
    world.stop().await;
}

#[tokio::test]
async fn sess_09_a_stop_before_it_has_been_read_loses_nobody() {
    let folder = with_keys();
    let mut world = World::start_with(plan(&folder)).await;
    let mut ada = world.treasurer().await;
    for _ in 0..10 {
        world.restart().await;
    }
    assert!(is_member(&mut ada).await);
    world.stop().await;
}

#[tokio::test]
async fn sess_09_whatever_stands_there_the_process_starts() {
    let folder = with_keys();
    let mut world = World::start_with(plan(&folder)).await;
    let (ada, snapshot) = (world.treasurer().await, snapshot(&folder));
    for broken in [&b""[..], b"anteport", &[0; 100_000]] {
        world.proxy_goes_down().await;
        fs::write(&snapshot, broken).unwrap();
        world.proxy_comes_up();
        assert!(!is_member(&mut ada.clone()).await);
        eventually(async || world.readyz().await.0 == 200).await;
        assert_eq!(world.metric("anteport_sessions").await, 0.0);
    }
    world.stop().await;
}

#[tokio::test]
async fn cry_02_keys_change_under_load_and_nobody_notices() {
    let folder = with_keys();
    let mut world = World::start_with(plan(&folder)).await;
    let (mut ada, mut late) = (world.treasurer().await, world.browser());
    let callback = late.sign_in_to_callback("/reports?late", "treasurer@harborclub.example").await;
    let failed = std::sync::atomic::AtomicU32::new(0);
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let load = async {
        while !is_over.load(Ordering::Relaxed) {
            if !is_member(&mut ada.clone()).await {
                failed.fetch_add(1, Ordering::Relaxed);
            }
            assert_eq!(world.browser().open("/reports").await.status, 303, "logins begin");
        }
    };
    let changing = async {
        let say = async |wanted: &str| {
            world.look_again.notify_one();
            eventually(async || world.readyz().await.1.contains(wanted)).await;
        };
        folder.write("second", "canary of a key");
        say("cannot be read again for 0 s").await;
        let words = world.readyz().await;
        assert_eq!(words.0, 200, "those before stay in force");
        assert!(!words.1.contains("canary") && words.1.contains("second"), "{}", words.1);
        assert_eq!(world.metric("anteport_sealing_keys_faulty").await, 1.0);
        for turn in 0..5 {
            let (one, other) = if turn % 2 == 0 { (2, 1) } else { (1, 2) };
            folder.write("second", "");
            say("cannot be read").await;
            folder.write("key", &STANDARD.encode([one; 32]));
            folder.write("second", &STANDARD.encode([other; 32]));
            say("sealing keys: 2 in force\n").await;
        }
        is_over.store(true, Ordering::Relaxed);
    };
    tokio::join!(load, changing);
    assert_eq!(failed.load(Ordering::Relaxed), 0);
    assert_eq!(world.metric("anteport_sealing_keys").await, 2.0);
    assert_eq!(world.metric("anteport_sealing_keys_read_timestamp_seconds").await, 1.8e9);
    assert_eq!(world.metric("anteport_sealing_keys_faulty").await, 0.0);
    let landed = late.open_url(&callback).await;
    assert_eq!(late.follow_from(landed).await.status, 200, "what the other one sealed opens");
    world.restart().await;
    assert!(is_member(&mut ada).await);
    world.stop().await;
}

#[tokio::test]
async fn memory_is_a_store_that_is_there() {
    let world = World::start().await;
    assert_eq!(world.metric("anteport_session_store_up").await, 1.0);
    assert!(world.readyz().await.1.contains("session store memory: here\n"));
    let mut ada = world.treasurer().await;
    let here = "anteport_session_lookups_total{where=\"here\"}";
    let before = world.metric(here).await;
    assert!(is_member(&mut ada).await);
    assert_eq!(world.metric(here).await, before + 1.0);
    assert_eq!(world.metric("anteport_session_lookups_total{where=\"store\"}").await, 0.0);
    world.stop().await;
}
