mod lives;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;

use serde_json::{Map, json};

use super::super::claims;
use super::super::error::fully;
use super::super::marks::{Once, SignOut};
use super::super::{Here, Logins, Ours, Revocation};
use super::*;
use crate::clock::Clock;
use crate::config;
use crate::gate::login::PendingLogin;
use crate::gate::{
    AtProvider, Lifetimes, PortalToken, PortalTokens, Secret, SessionId, Subject, TokenKind,
    VerifiedClaims,
};
use crate::sessions::{Meant, Word};

const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const LIFETIMES: Lifetimes = Lifetimes { idle: HOUR, absolute: Duration::from_secs(4 * 3600) };

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("anteport-snapshot-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn snapshot(&self) -> PathBuf {
        self.0.join("sessions")
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn key(byte: u8) -> Secret<[u8; 32]> {
    Secret::new([byte; 32])
}

/// A process: one that has read nothing yet.
fn process_with(folder: &Folder, keys: &[Secret<[u8; 32]>]) -> Sessions {
    let settings = config::Sessions {
        store: config::Store::Memory { snapshot: Some(folder.snapshot()) },
        keys: config::SealingKeys::default(),
        lifetimes: LIFETIMES,
        refresh_interval: HOUR,
        capacity: 1_000_000,
    };
    let seal = Arc::new(Seal::new(keys).unwrap());
    let is_ours = Ours::new(|session| session.is_for("members.example"));
    Sessions::new(&settings, &seal, &Clock::system(), is_ours, |_| {})
}

fn process(folder: &Folder) -> Sessions {
    process_with(folder, &[key(1)])
}

fn started(folder: &Folder, now: Timestamp) -> Sessions {
    let sessions = process(folder);
    sessions.read_snapshot(now);
    sessions
}

fn session(name: &str, portal: &str, now: Timestamp) -> Session {
    let claims = json!({ "iss": "https://i.example", "sub": name, "name": "canary-of-a-claim" });
    let claims: Map<_, _> = claims.as_object().unwrap().clone();
    let subject = Subject::Issuer { issuer: "https://i.example".into(), subject: name.into() };
    let claims = VerifiedClaims::assertion(subject, claims);
    let at_provider =
        AtProvider { sid: Some(format!("sid-{name}")), sub: Some(name.to_owned()), id_token: None };
    Session::start(claims, "corporate".into(), portal.into(), "h".into(), LIFETIMES, now)
        .known_as(at_provider)
}

/// The same, whose portal gets an access token.
fn with_token(session: Session) -> Session {
    let token = Secret::new("canary-of-a-token".to_owned());
    let access_token = PortalToken::until(&token, NOON.after(HOUR * 4));
    session.passing(PortalTokens { access_token, id_token: None })
}

async fn sign_in(sessions: &Sessions, name: &str) -> SessionId {
    sessions.start(session(name, "members.example", NOON), NOON).await.unwrap().0
}

fn name(sessions: &Sessions, id: &SessionId, now: Timestamp) -> Option<String> {
    match sessions.here(id, now) {
        Here::Member(member) => member.session().claims().text("sub").map(str::to_owned),
        Here::Nobody => None,
        Here::Ask => panic!("it has been read"),
    }
}

/// Signs in so many, each somebody else.
async fn sign_in_many(sessions: &Sessions, count: usize) -> Vec<SessionId> {
    let mut ids = Vec::new();
    for number in 0..count {
        ids.push(sign_in(sessions, &format!("member-{number}")).await);
    }
    ids
}

/// How many sessions end by a provider's word.
async fn signed_out(sessions: &Sessions, meant: Meant<'_>, now: Timestamp) -> usize {
    fully(sessions.sign_out_meant("corporate", meant, None, Word::Proven, now).await).len()
}

/// Some sessions and what was ended, in a snapshot; and who is signed in.
async fn left(folder: &Folder) -> Vec<SessionId> {
    let sessions = started(folder, NOON);
    let ids = sign_in_many(&sessions, 20).await;
    sessions.write_snapshot(NOON);
    ids
}

fn private(file: &Path) {
    fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
}

fn refused(folder: &Folder, now: Timestamp) -> String {
    let sessions = process(folder);
    let result = sessions.snapshot.as_ref().unwrap().take(now);
    causes(&result.unwrap_err())
}

#[tokio::test]
async fn sess_09_sessions_go_on_and_what_was_ended_stays_ended() {
    let folder = Folder::new();
    let before = started(&folder, NOON);
    let (ada, grace) = (sign_in(&before, "ada").await, sign_in(&before, "grace").await);
    let state = Secret::new("state".to_owned());
    let form = [7; 16];
    assert!(before.spend_login(&state).await.unwrap() && before.spend_form(&form).await.unwrap());
    assert!(before.spend_logout_token("a", "1").await.unwrap());
    fully(before.sign_out(&grace, NOON).await).unwrap();
    let mary = sign_in(&before, "mary").await;
    assert_eq!(signed_out(&before, Meant::Sid("sid-mary"), NOON).await, 1);
    let later = NOON.after(HOUR / 2);
    let Here::Member(member) = before.here(&ada, later) else { panic!("she is signed in") };
    member.session().touch(later);
    drop(member);
    before.write_snapshot(later);
    assert_eq!(folder.names(), ["sessions", "sessions.last", "sessions.lock"]);
    for file in folder.names() {
        let file = folder.0.join(file);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "private");
        let bytes = fs::read(&file).unwrap();
        assert!(!bytes.windows(6).any(|part| part == b"canary" || part == b"sid-ad"), "sealed");
    }
    // Longer than the idle time after it began, and shorter than after it was used.
    let now = NOON.after(HOUR + HOUR / 4);
    let after = started(&folder, now);
    assert_eq!(folder.names(), ["sessions.last", "sessions.lock"], "it is read once");
    assert_eq!(name(&after, &ada, now).as_deref(), Some("ada"));
    assert!(name(&after, &grace, now).is_none() && name(&after, &mary, now).is_none());
    assert!(!after.spend_login(&state).await.unwrap(), "OIDC-02: also over a restart");
    assert!(!after.spend_form(&form).await.unwrap());
    assert!(!after.spend_logout_token("a", "1").await.unwrap());
    let soon = after.is_forgotten(&Secret::new("other".to_owned()), Some(&grace)).await;
    assert!(!soon.unwrap(), "no login is as old as that");
    let count = signed_out(&after, Meant::Sub("ada"), now).await;
    assert_eq!(count, 1, "and is found by name");
}

#[tokio::test]
async fn sess_09_tokens_of_a_portal_go_on_sealed() {
    let folder = Folder::new();
    let before = started(&folder, NOON);
    let ada = with_token(session("ada", "members.example", NOON));
    let (ada, _) = before.start(ada, NOON).await.unwrap();
    let grace = sign_in(&before, "grace").await;
    before.write_snapshot(NOON);
    for file in folder.names() {
        let bytes = fs::read(folder.0.join(file)).unwrap();
        assert!(!bytes.windows(6).any(|part| part == b"canary"), "sealed");
    }
    let after = started(&folder, NOON);
    let token = |id: &SessionId| match after.here(id, NOON) {
        Here::Member(member) => {
            let tokens = member.session().tokens();
            let token = tokens.and_then(|tokens| tokens.good(TokenKind::AccessToken, NOON));
            token.map(|token| token.token().expose().clone())
        }
        Here::Nobody | Here::Ask => panic!("it was in the snapshot"),
    };
    assert_eq!(token(&ada).as_deref(), Some("canary-of-a-token"));
    assert_eq!(token(&grace), None);
}

#[tokio::test]
async fn oidc_14_a_sign_out_before_a_restart_wins_over_a_login_after_it() {
    let folder = Folder::new();
    let before = started(&folder, NOON);
    let ada = sign_in(&before, "ada").await;
    let later = NOON.after(Duration::from_secs(1));
    fully(before.sign_out(&ada, later).await).unwrap();
    assert_eq!(signed_out(&before, Meant::Sub("grace"), later).await, 0);
    before.write_snapshot(later);
    let after = started(&folder, later);
    let state = Secret::new("state".to_owned());
    assert!(after.is_forgotten(&state, Some(&ada)).await.unwrap());
    let grace = session("grace", "members.example", later);
    assert!(after.signed_out_since(NOON, &grace).await.unwrap());
    assert!(!after.signed_out_since(later, &grace).await.unwrap());
}

#[tokio::test]
async fn sess_09_what_is_over_or_of_nobody_here_is_left_out() {
    let folder = Folder::new();
    let before = started(&folder, NOON);
    let ada = sign_in(&before, "ada").await;
    before.start(session("x", "elsewhere.example", NOON), NOON).await.unwrap();
    let early = NOON.before(HOUR * 2);
    before.start(session("y", "members.example", early), early).await.unwrap();
    before.table.put_cold(Digest::of(b"k"), &session("z", "members.example", NOON), b"\xff");
    before.write_snapshot(NOON);
    let after = process(&folder);
    let (snapshot, mut restored) = (after.snapshot.as_ref().unwrap(), Restored::default());
    let believed = snapshot.take(NOON).unwrap().unwrap();
    after.restore(snapshot, believed, &mut restored, NOON).unwrap();
    let expected = Restored { sessions: 1, over: 1, foreign: 1, unreadable: 1 };
    assert_eq!(restored, expected);
    after.arriving.tell();
    assert_eq!(name(&after, &ada, NOON).as_deref(), Some("ada"));
    assert_eq!(after.count(), 1);
}

#[tokio::test]
async fn sess_09_a_copy_is_not_read_a_second_time() {
    let folder = Folder::new();
    let ids = left(&folder).await;
    let first = fs::read(folder.snapshot()).unwrap();
    let put = |bytes: &[u8]| {
        fs::write(folder.snapshot(), bytes).unwrap();
        private(&folder.snapshot());
    };
    let second = started(&folder, NOON);
    assert_eq!(second.count(), 20);
    fully(second.sign_out(&ids[0], NOON).await).unwrap();
    // Nobody has advanced the clock: an order there is all the same.
    second.write_snapshot(NOON);
    let newer = fs::read(folder.snapshot()).unwrap();
    put(&first);
    assert!(refused(&folder, NOON).contains("read before"), "in the place of the newer one");
    put(&newer);
    assert!(refused(&folder, NOON).contains("another process has lived"));
    left(&folder).await;
    let newest = fs::read(folder.snapshot()).unwrap();
    assert_eq!(started(&folder, NOON).count(), 20);
    put(&newest);
    assert!(refused(&folder, NOON).contains("read before"));
    // Without the note nothing is known, and another's names it not.
    left(&folder).await;
    fs::remove_file(folder.0.join("sessions.last")).unwrap();
    assert!(refused(&folder, NOON).contains(".last"));
    let elsewhere = Folder::new();
    left(&elsewhere).await;
    fs::copy(elsewhere.snapshot(), folder.snapshot()).unwrap();
    assert!(refused(&folder, NOON).contains("read before"));
    // And then it begins anew.
    left(&folder).await;
    assert_eq!(started(&folder, NOON).count(), 20);
}

#[tokio::test]
async fn sess_09_a_snapshot_that_was_changed_anywhere_is_refused_whole() {
    let folder = Folder::new();
    left(&folder).await;
    let note = fs::read(folder.0.join("sessions.last")).unwrap();
    let whole = fs::read(folder.snapshot()).unwrap();
    let mut tried = 0;
    let mut is_refused = |bytes: &[u8], what: &str| {
        fs::write(folder.snapshot(), bytes).unwrap();
        private(&folder.snapshot());
        fs::write(folder.0.join("sessions.last"), &note).unwrap();
        let why = refused(&folder, NOON);
        assert!(why.contains("not whole") || why.contains("key that is not"), "{what}: {why}");
        assert_eq!(
            folder.names(),
            ["sessions.last", "sessions.lock"],
            "{what}: it is taken away all the same"
        );
        tried += 1;
    };
    let step = whole.len() / 150;
    for at in (0..64).chain((64..whole.len()).step_by(step)) {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        is_refused(&changed, &format!("byte {at}"));
        is_refused(&whole[..at], &format!("cut at {at}"));
    }
    is_refused(&[&whole[..], b"x"].concat(), "longer");
    is_refused(&[&whole[..], &whole[..]].concat(), "doubled");
    is_refused(&whole[..whole.len() - 1], "cut at its end");
    is_refused(&vec![0; 10_000_000], "huge and empty");
    let endless = [&whole[..34], &[0, 0xff, 0xff, 0xff, 0xff]].concat();
    is_refused(&endless, "a length that nobody has");
    assert!(tried > 300, "{tried}");
}

#[test]
fn sess_02_pieces_cannot_be_left_out_exchanged_doubled_or_cut_off() {
    let seal = Seal::new(&[key(1)]).unwrap();
    let item = vec![b'x'; PIECE_LIKE];
    let write = |id: u8, items: usize| {
        let mut writer = Writer::new(Vec::new(), &seal, [id; 16]).unwrap();
        for _ in 0..items {
            assert!(writer.add(&item).unwrap());
        }
        writer.finish().unwrap()
    };
    let read = |bytes: &[u8]| {
        let mut reader = Reader::new(bytes, &seal)?;
        let mut count = 0;
        while let Some(piece) = reader.next()? {
            count += items::<Vec<u8>>(&piece).count();
        }
        Ok::<_, Unfit>(count)
    };
    let whole = write(1, 3);
    assert_eq!(read(&whole).unwrap(), 3);
    let head = 34;
    let long =
        |at: usize| 5 + u32::from_be_bytes(whole[at + 1..at + 5].try_into().unwrap()) as usize;
    let (one, two) = (head + long(head), head + 2 * long(head));
    let three = two + long(two);
    let part = |from: usize, to: usize| &whole[from..to];
    let (start, first, second, third) =
        (part(0, head), part(head, one), part(one, two), part(two, three));
    let last = &whole[three..];
    for (what, bytes) in [
        ("left out", [start, first, third, last].concat()),
        ("exchanged", [start, second, first, third, last].concat()),
        ("doubled", [start, first, first, second, third, last].concat()),
        ("cut off", [start, first, second].concat()),
        ("only the last", [start, last].concat()),
        ("the last twice", [start, first, second, third, last, last].concat()),
        ("of another snapshot", [&write(2, 3)[..head], &whole[head..]].concat()),
    ] {
        assert!(matches!(read(&bytes), Err(Unfit::Broken)), "{what}");
    }
    let mut called_last = [start, first, second, third].concat();
    called_last[two] = 1;
    assert!(matches!(read(&called_last), Err(Unfit::Broken)));
    let mut writer = Writer::new(Vec::new(), &seal, [1; 16]).unwrap();
    assert!(!writer.add(&vec![0_u8; 3_000_000]).unwrap(), "too large for any piece");
    assert_eq!(read(&writer.finish().unwrap()).unwrap(), 0);
}

/// An item that fills a piece.
const PIECE_LIKE: usize = 70_000;

#[tokio::test]
async fn cry_02_keys_change_between_two_processes() {
    let folder = Folder::new();
    left(&folder).await;
    let next = process_with(&folder, &[key(2), key(1)]);
    next.read_snapshot(NOON);
    assert_eq!(next.count(), 20);
    next.write_snapshot(NOON);
    let dropped = process_with(&folder, &[key(2)]);
    dropped.read_snapshot(NOON);
    assert_eq!(dropped.count(), 20, "the note too is under the key that seals");
    dropped.write_snapshot(NOON);
    assert!(refused(&folder, NOON).contains("not in `sessions.keys`"));
    // Also those with which it began.
    let rotating = started(&folder, NOON);
    sign_in(&rotating, "ada").await;
    rotating.snapshot.as_ref().unwrap().seal.replace(&[key(3)]).unwrap();
    rotating.write_snapshot(NOON);
    let next = process_with(&folder, &[key(3)]);
    assert_eq!(next.read_snapshot(NOON), 1);
    assert_eq!(folder.names(), ["sessions.last", "sessions.lock"]);
}

#[tokio::test]
async fn sess_09_what_is_not_ours_alone_is_not_read() {
    let folder = Folder::new();
    let snapshot = folder.snapshot();
    assert_eq!(started(&folder, NOON).count(), 0, "there is none");
    fs::create_dir(&snapshot).unwrap();
    assert!(refused(&folder, NOON).contains("not a file"));
    // Nor can it be written then, which is said and is no panic.
    process(&folder).write_snapshot(NOON);
    fs::remove_dir(&snapshot).unwrap();
    assert_eq!(folder.names(), ["sessions.last", "sessions.lock"]);
    left(&folder).await;
    let aside = folder.0.join("aside");
    fs::rename(&snapshot, &aside).unwrap();
    symlink(&aside, &snapshot).unwrap();
    assert!(refused(&folder, NOON).contains("not a file"), "a link is not followed");
    fs::rename(&aside, &snapshot).unwrap();
    for mode in [0o604, 0o602, 0o601] {
        fs::set_permissions(&snapshot, Permissions::from_mode(mode)).unwrap();
        assert!(refused(&folder, NOON).contains("others can get at it"));
    }
    private(&snapshot);
    // Only root can give a file away, and then it is not read.
    if chown(&snapshot, Some(65_534), None).is_ok() {
        assert!(refused(&folder, NOON).contains("belongs to another user"));
        chown(&snapshot, Some(fs::metadata(&folder.0).unwrap().uid()), None).unwrap();
    }
    assert!(refused(&folder, NOON).contains("has lived since"), "what was refused stays so");
    left(&folder).await;
    let late = NOON.after(LIFETIMES.absolute + HOUR);
    assert!(refused(&folder, late).contains("older"));
    assert_eq!(folder.names(), ["sessions.last", "sessions.lock"]);
    fs::write(&snapshot, b"").unwrap();
    private(&snapshot);
    assert!(refused(&folder, NOON).contains("not whole"));
}

#[tokio::test]
async fn sess_09_what_cannot_be_read_again_is_said_and_the_rest_is_counted() {
    let folder = Folder::new();
    let before = started(&folder, NOON);
    // More than one piece.
    sign_in_many(&before, 1000).await;
    before.write_snapshot(NOON);
    let (note, whole) = (folder.0.join("sessions.last"), fs::read(folder.snapshot()).unwrap());
    let noted = fs::read(&note).unwrap();
    let length = u64::try_from(whole.len()).unwrap();
    let half = |file: File| file.set_len(length / 2).unwrap();
    let elsewhere = Folder::new();
    left(&elsewhere).await;
    let other = |mut file: File| {
        file.set_len(0).unwrap();
        file.write_all(&fs::read(elsewhere.snapshot()).unwrap()).unwrap();
    };
    for (what, change, drops_key, expected) in [
        ("nothing happens", &(|_: File| ()) as &dyn Fn(File), false, 1000..=1000),
        ("the disk fails", &half, false, 1..=999),
        ("another snapshot is written over it", &other, false, 0..=0),
        ("the key is dropped", &|_: File| (), true, 0..=0),
    ] {
        fs::write(folder.snapshot(), &whole).unwrap();
        private(&folder.snapshot());
        fs::write(&note, &noted).unwrap();
        let file = fs::OpenOptions::new().write(true).open(folder.snapshot()).unwrap();
        let after = process(&folder);
        let snapshot = after.snapshot.as_ref().unwrap();
        let believed = snapshot.take(NOON).unwrap().unwrap();
        change(file);
        if drops_key {
            snapshot.seal.replace(&[key(2)]).unwrap();
        }
        let counted = after.go_on(snapshot, believed, NOON, Instant::now());
        assert_eq!(counted, after.count(), "{what}: what is said is true");
        assert!(expected.contains(&counted), "{what}: {counted}");
    }
}

#[tokio::test]
async fn sess_09_of_two_processes_one_gets_it() {
    for _ in 0..20 {
        let folder = Folder::new();
        left(&folder).await;
        let counts: Vec<u64> = std::thread::scope(|scope| {
            let all: Vec<_> =
                (0..4).map(|_| scope.spawn(|| started(&folder, NOON).count())).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(counts.iter().sum::<u64>(), 20, "{counts:?}");
        assert!(counts.contains(&20));
    }
}

#[tokio::test]
async fn gen_03_who_comes_while_it_is_read_waits() {
    let folder = Folder::new();
    let ids = left(&folder).await;
    let sessions = Arc::new(process(&folder));
    assert!(matches!(sessions.here(&ids[0], NOON), Here::Ask), "and not «nobody»");
    let asking = {
        let (sessions, id) = (Arc::clone(&sessions), ids[0].clone());
        tokio::spawn(async move { sessions.find(&id, NOON).await })
    };
    let ending = {
        let sessions = Arc::clone(&sessions);
        tokio::spawn(async move { signed_out(&sessions, Meant::Sub("member-1"), NOON).await })
    };
    tokio::task::yield_now().await;
    assert!(!asking.is_finished() && !ending.is_finished());
    let reading = Arc::clone(&sessions);
    tokio::task::spawn_blocking(move || reading.read_snapshot(NOON)).await.unwrap();
    assert!(asking.await.unwrap().unwrap().is_some());
    assert_eq!(ending.await.unwrap(), 1, "what was ended meanwhile is over");
    assert!(name(&sessions, &ids[1], NOON).is_none());
    assert!(name(&sessions, &ids[2], NOON).is_some());
}

#[tokio::test]
async fn gen_03_who_has_waited_long_enough_is_told_that_nobody_knows() {
    let folder = Folder::new();
    let ids = left(&folder).await;
    let mut sessions = process(&folder);
    sessions.arriving = Arc::new(Arriving::new(false).impatient());
    let unavailable = Some(crate::sessions::StoreError::Unavailable);
    assert_eq!(sessions.find(&ids[0], NOON).await.err(), unavailable);
    assert_eq!(sessions.sign_out(&ids[0], NOON).await.1.err(), unavailable);
    assert_eq!(sessions.end(&ids[0], NOON).await.1.err(), unavailable);
    let state = Secret::new("state".to_owned());
    assert_eq!(sessions.spend_login(&state).await.err(), unavailable);
    assert_eq!(sessions.is_forgotten(&state, None).await.err(), unavailable);
    // What begins needs nothing of it.
    assert!(matches!(sessions.here(&sign_in(&sessions, "ada").await, NOON), Here::Member(_)));
}

#[tokio::test]
async fn marks_of_every_sort_come_back() {
    let folder = Folder::new();
    let before = started(&folder, NOON);
    let Store::Memory { marks, .. } = &before.store else { panic!("it is in memory") };
    let digest = |number: usize| Digest::of(&number.to_be_bytes());
    let expected: std::collections::BTreeSet<String> = (0..1000)
        .map(|number| match number % 6 {
            0 => Mark::Spent(Once::Login, digest(number)),
            1 => Mark::Spent(Once::Form, digest(number)),
            2 => Mark::Spent(Once::LogoutToken, digest(number)),
            3 => Mark::SignedOut(SignOut::Here, digest(number), NOON),
            4 => Mark::Logins(digest(number), Logins { first: NOON.before(HOUR), last: NOON }),
            _ => Mark::SignedOut(SignOut::There, digest(number), NOON),
        })
        .map(|mark| {
            marks.restore(mark, NOON);
            format!("{mark:?}")
        })
        .collect();
    before.everybody.store(NOON.before(HOUR).unix_millis(), std::sync::atomic::Ordering::Release);
    before.write_snapshot(NOON);
    let after = started(&folder, NOON);
    let Store::Memory { marks, .. } = &after.store else { panic!("it is in memory") };
    let found = marks.all().map(|mark| format!("{mark:?}")).collect();
    assert_eq!(expected, found);
    let everybody = after.everybody.load(std::sync::atomic::Ordering::Acquire);
    assert_eq!(everybody, NOON.before(HOUR).unix_millis(), "who had to sign in anew still has to");
}

#[tokio::test]
async fn lim_07_what_strangers_said_before_a_restart_takes_of_their_room_after_it() {
    let folder = Folder::new();
    let before = started(&folder, NOON);
    let claim = async |sessions: &Sessions, name: &str, now| {
        let meant = Meant::Sid(name);
        fully(sessions.sign_out_meant("corporate", meant, None, Word::Claimed, now).await);
    };
    for number in 0..claims::MOST {
        claim(&before, &number.to_string(), NOON).await;
    }
    before.write_snapshot(NOON);
    let after = started(&folder, NOON);
    let Store::Memory { marks, .. } = &after.store else { panic!("it is in memory") };
    assert_eq!(marks.all().count(), claims::MOST);
    claim(&after, "one more", NOON).await;
    assert_eq!(marks.all().count(), claims::MOST);
    claim(&after, "one more", NOON.after(PendingLogin::LIMIT)).await;
    assert_eq!(marks.all().count(), claims::MOST + 1);
}

#[test]
fn what_was_left_behind_goes_after_a_while() {
    let folder = Folder::new();
    let place = Place::new(&folder.snapshot());
    let old = folder.0.join("sessions.0123456789abcdef.taken");
    for name in ["sessions.0123456789abcdef.new", "sessions.old", "sessions.x.taken", "other"] {
        fs::write(folder.0.join(name), b"").unwrap();
    }
    fs::write(&old, b"").unwrap();
    place.tidy().unwrap();
    assert_eq!(folder.names().len(), 5, "somebody may be at it");
}
