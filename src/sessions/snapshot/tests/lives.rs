//! Processes one after the other, at once, and between others: what each of them has left counts
//! for the very next one, or for none.

use super::*;

/// What a process does that is killed: nothing.
fn killed(sessions: Sessions) {
    drop(sessions);
}

#[tokio::test]
async fn sess_09_what_one_process_did_not_read_no_later_one_does() {
    let folder = Folder::new();
    let (snapshot, aside) = (folder.snapshot(), folder.0.join("aside"));
    let open = || fs::set_permissions(folder.snapshot(), Permissions::from_mode(0o644)).unwrap();
    let away = || fs::rename(folder.snapshot(), folder.0.join("aside")).unwrap();
    let link = || {
        away();
        symlink(folder.0.join("aside"), folder.snapshot()).unwrap();
    };
    let without_note = || {
        open();
        fs::remove_file(folder.0.join("sessions.last")).unwrap();
    };
    // The one in between may have other keys, and cannot read the note.
    for (what, spoil, keys) in [
        ("others could get at it", &open as &dyn Fn(), 1),
        ("others could get at it, and the keys were others", &open, 2),
        ("it was not there", &away, 1),
        ("it was a link", &link, 1),
        ("it had no note", &without_note, 1),
    ] {
        let ids = left(&folder).await;
        spoil();
        let between = process_with(&folder, &[key(keys)]);
        assert_eq!(between.read_snapshot(NOON), 0, "{what}");
        let now = NOON.after(Duration::from_secs(60));
        between.revoke(Revocation::Everybody { until: now }, now, |_| {}).await.unwrap();
        killed(between);
        if aside.exists() {
            fs::rename(&aside, &snapshot).unwrap();
        }
        private(&snapshot);
        let now = NOON.after(Duration::from_secs(120));
        let after = started(&folder, now);
        assert_eq!(after.count(), 0, "{what}");
        assert!(after.find(&ids[0], now).await.unwrap().is_none(), "{what}");
        assert!(!snapshot.exists(), "{what}: and it is gone");
    }
}

#[tokio::test]
async fn sess_09_of_two_that_overlap_the_one_that_began_last_leaves_a_snapshot() {
    let folder = Folder::new();
    let (first, second) = (started(&folder, NOON), started(&folder, NOON));
    sign_in(&first, "ada").await;
    let grace = sign_in(&second, "grace").await;
    let note = fs::read(folder.0.join("sessions.last")).unwrap();
    first.write_snapshot(NOON);
    assert!(!folder.snapshot().exists(), "another goes on");
    assert_eq!(fs::read(folder.0.join("sessions.last")).unwrap(), note);
    second.write_snapshot(NOON);
    let copy = fs::read(folder.snapshot()).unwrap();
    let third = started(&folder, NOON);
    assert_eq!(third.count(), 1);
    assert_eq!(name(&third, &grace, NOON).as_deref(), Some("grace"), "it was not in its way");
    // A third one begins and ends, while the fourth goes on: who ended there comes back nowhere.
    let fourth = started(&folder, NOON);
    killed(third);
    sign_in(&fourth, "mary").await;
    fourth.write_snapshot(NOON);
    fs::write(folder.snapshot(), copy).unwrap();
    private(&folder.snapshot());
    assert!(refused(&folder, NOON).contains("read before"));
}

#[tokio::test]
async fn sess_09_what_another_left_while_one_went_on_is_not_believed() {
    let folder = Folder::new();
    let (first, second) = (started(&folder, NOON), started(&folder, NOON));
    sign_in(&second, "ada").await;
    second.write_snapshot(NOON);
    let now = NOON.after(Duration::from_secs(60));
    first.revoke(Revocation::Everybody { until: now }, now, |_| {}).await.unwrap();
    sign_in(&first, "grace").await;
    first.write_snapshot(now);
    assert!(refused(&folder, now).contains("another process has lived"));
    // And the next is believed again.
    left(&folder).await;
    assert_eq!(started(&folder, NOON).count(), 20);
}

#[tokio::test]
async fn sess_09_who_begins_while_another_leaves_waits_for_it_or_is_the_last() {
    for _ in 0..50 {
        let folder = Folder::new();
        let first = started(&folder, NOON);
        sign_in_many(&first, 20).await;
        let barrier = std::sync::Barrier::new(2);
        let second = std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                barrier.wait();
                started(&folder, NOON)
            });
            barrier.wait();
            first.write_snapshot(NOON);
            second.join().unwrap()
        });
        assert!([0, 20].contains(&second.count()));
        killed(second);
        assert_eq!(started(&folder, NOON).count(), 0, "what was left counts for the very next");
    }
}

#[tokio::test]
async fn sess_09_no_clock_says_which_snapshot_is_the_last() {
    let folder = Folder::new();
    let hours = |number: u32| NOON.after(HOUR * number);
    // Each is a process: when it begins, and when it leaves what the one before has left to it.
    let mut copies = Vec::new();
    let first = started(&folder, hours(9));
    sign_in(&first, "ada").await;
    first.write_snapshot(NOON);
    for (begins, ends) in [(NOON, hours(900)), (NOON, NOON), (NOON, NOON)] {
        copies.push(fs::read(folder.snapshot()).unwrap());
        let next = started(&folder, begins);
        assert_eq!(next.count(), 1, "{begins:?}");
        next.write_snapshot(ends);
    }
    let newest = fs::read(folder.snapshot()).unwrap();
    for copy in copies {
        let note = fs::read(folder.0.join("sessions.last")).unwrap();
        fs::write(folder.snapshot(), copy).unwrap();
        private(&folder.snapshot());
        assert!(refused(&folder, NOON).contains("read before"));
        fs::write(folder.0.join("sessions.last"), note).unwrap();
    }
    fs::write(folder.snapshot(), newest).unwrap();
    private(&folder.snapshot());
    assert_eq!(started(&folder, NOON).count(), 1);
}

#[tokio::test]
async fn sess_09_where_nothing_can_be_noted_nothing_is_believed() {
    let folder = Folder::new();
    let (snapshot, note) = (folder.snapshot(), folder.0.join("sessions.last"));
    for obstacle in ["sessions.last", "sessions.lock"] {
        left(&folder).await;
        let kept = fs::read(folder.0.join(obstacle)).unwrap();
        let obstacle = folder.0.join(obstacle);
        fs::remove_file(&obstacle).unwrap();
        fs::create_dir(&obstacle).unwrap();
        let why = refused(&folder, NOON);
        assert!(why.contains("cannot be written; if it is still there, remove it"), "{why}");
        assert!(!snapshot.exists(), "what is gone needs no note");
        fs::remove_dir(&obstacle).unwrap();
        fs::write(&obstacle, kept).unwrap();
    }
    // What can be neither noted nor taken away is, once the process ends in order.
    left(&folder).await;
    let kept = fs::read(&note).unwrap();
    fs::set_permissions(&snapshot, Permissions::from_mode(0o644)).unwrap();
    fs::remove_file(&note).unwrap();
    fs::create_dir(&note).unwrap();
    let between = started(&folder, NOON);
    fs::remove_dir(&note).unwrap();
    fs::write(&note, kept).unwrap();
    between.write_snapshot(NOON);
    private(&snapshot);
    assert!(refused(&folder, NOON).contains("another process has lived"));
}

#[tokio::test]
async fn sess_09_nothing_is_left_where_the_note_is_gone() {
    let folder = Folder::new();
    let sessions = started(&folder, NOON);
    sign_in(&sessions, "ada").await;
    let note = folder.0.join("sessions.last");
    fs::remove_file(&note).unwrap();
    sessions.write_snapshot(NOON);
    assert!(!folder.snapshot().exists());
    // Nor by a process that has not begun.
    process(&folder).write_snapshot(NOON);
    assert!(!folder.snapshot().exists());
}

#[tokio::test]
async fn sess_09_what_nobody_took_over_is_taken_back_and_left_again() {
    let folder = Folder::new();
    let before = started(&folder, NOON);
    let (ada, grace) = (sign_in(&before, "ada").await, sign_in(&before, "grace").await);
    for has_begun in [false, true] {
        assert!(before.hand_on(NOON));
        let copy = fs::read(folder.snapshot()).unwrap();
        if has_begun {
            // It ends before it has served anybody.
            drop(started(&folder, NOON));
        }
        before.take_back();
        assert!(!folder.snapshot().exists(), "nobody reads it");
        assert_eq!(name(&before, &ada, NOON).as_deref(), Some("ada"));
        fs::write(folder.snapshot(), copy).unwrap();
        private(&folder.snapshot());
    }
    fully(before.sign_out(&grace, NOON).await).unwrap();
    // What lies there is from before the sign-out, and this is not.
    assert!(before.hand_on(NOON) && before.write_snapshot(NOON), "a second time, at the end");
    let after = started(&folder, NOON);
    assert_eq!(name(&after, &ada, NOON).as_deref(), Some("ada"));
    assert!(name(&after, &grace, NOON).is_none());
    assert!(!before.write_snapshot(NOON), "another one has begun");
}
