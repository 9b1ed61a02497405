//! Sentinel, Cluster, TLS and an ACL user: the same suite, and what each has of its own.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anteport::config::{Redis, RedisMode, RedisTls, Store};
use anteport::gate::Secret;
use redis::{Client, cmd};

use crate::redis::{Process, SOON, Server};
use crate::suite::{Node, eventually, redis, single, whole};
use crate::world::folder::Folder;
use crate::world::free_port;

/// What an ACL user has to be allowed, as the documentation says.
const COMMANDS: &str = include_str!("../../docs/sessions.md");

fn sentinel() -> RedisMode {
    RedisMode::Sentinel { master: "members".to_owned(), username: None, password: None }
}

/// A primary, a replica, and three Sentinels that watch them.
pub struct Sentinels {
    pub primary: Server,
    pub replica: Server,
    pub ports: Vec<u16>,
    _processes: Vec<Process>,
    _folder: Folder,
}

impl Sentinels {
    pub fn start() -> Self {
        let primary = Server::start();
        let of = primary.address.port().to_string();
        let replica = Server::start_with(&["--replicaof", "127.0.0.1", &of]);
        let folder = Folder::new();
        let (mut ports, mut processes) = (Vec::new(), Vec::new());
        for number in 0..3 {
            let port = free_port().port();
            let path = folder.at(&format!("sentinel-{number}.conf"));
            let text = format!(
                "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor members 127.0.0.1 {of} 2\n\
                 sentinel down-after-milliseconds members 500\n\
                 sentinel failover-timeout members 3000\n",
                folder.0.display()
            );
            std::fs::write(&path, text).unwrap();
            processes.push(Process::start(Command::new("redis-sentinel").arg(&path)));
            ports.push(port);
        }
        let sentinels = Self { primary, replica, ports, _processes: processes, _folder: folder };
        let begun = Instant::now();
        while !sentinels.are_ready() {
            assert!(begun.elapsed() < SOON, "the Sentinels do not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        sentinels
    }

    /// All three know the replica and each other.
    fn are_ready(&self) -> bool {
        self.ports.iter().all(|port| {
            let client = Client::open(format!("redis://127.0.0.1:{port}/")).unwrap();
            let Ok(mut connection) = client.get_connection() else {
                return false;
            };
            let known: redis::RedisResult<Vec<(String, String)>> =
                cmd("SENTINEL").arg("MASTER").arg("members").query(&mut connection);
            let is = |name: &str, wanted: &str| {
                let known = known.as_ref().unwrap();
                known.iter().any(|(known, value)| known == name && value == wanted)
            };
            known.is_ok() && is("num-slaves", "1") && is("num-other-sentinels", "2")
        }) && self.replica_is_linked()
    }

    /// The replica has become the primary.
    pub fn is_promoted(&self) -> bool {
        let mut info = cmd("INFO");
        info.arg("replication");
        let info = self.replica.try_ask::<String>(info);
        info.is_ok_and(|info| info.contains("role:master"))
    }

    fn replica_is_linked(&self) -> bool {
        let info: String = self.replica.ask(cmd("INFO").arg("replication"));
        info.contains("master_link_status:up")
    }

    fn store(&self) -> Store {
        Store::Redis(Box::new(redis(sentinel(), &self.ports)))
    }
}

#[tokio::test]
async fn rel_04_a_primary_that_dies_signs_nobody_out() {
    let mut sentinels = Sentinels::start();
    let (here, there) = (Node::start(sentinels.store()), Node::start(sentinels.store()));
    let (here, there) = (here.ready().await, there.ready().await);
    whole(&here, &there).await;
    let mut members = Vec::new();
    for number in 0..100 {
        let name = format!("member-{number}");
        members.push((here.sign_in(&name).await, name));
    }
    for (id, name) in &members {
        assert_eq!(there.name(id).await.as_ref(), Some(name));
        assert_eq!(here.name(id).await.as_ref(), Some(name));
    }
    let written: Vec<String> = sentinels.primary.ask(cmd("KEYS").arg("anteport:s:*"));
    eventually(async || {
        let there: Vec<String> = sentinels.replica.ask(cmd("KEYS").arg("anteport:s:*"));
        there.len() == written.len()
    })
    .await;
    sentinels.primary.down();
    let (mut asked, mut refused, mut promoted, mut back) = (0_u32, 0_u32, None, None);
    let begun = Instant::now();
    while back.is_none() {
        assert!(begun.elapsed() < SOON, "it does not come back");
        for (id, name) in &members {
            // Who is known here goes on all the time; everybody is who they are.
            for node in [&here, &there] {
                asked += 1;
                match node.find(id).await {
                    Ok(Some(found)) => {
                        let claims = found.session().claims();
                        assert_eq!(claims.text("name"), Some(name.as_str()));
                    }
                    Ok(None) => panic!("{name} was signed out after {:?}", begun.elapsed()),
                    Err(_) => refused += 1,
                }
            }
        }
        if promoted.is_none() && sentinels.is_promoted() {
            promoted = Some(Instant::now());
        }
        let now = here.clock.now();
        let new = here.sessions.start(crate::suite::session("new", now), now).await;
        if promoted.is_some() && new.is_ok() && there.find(&new.unwrap().0).await.is_ok() {
            back = promoted.map(|promoted| promoted.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    println!("asked {asked} times, {refused} refused, back {back:?} after the promotion");
    assert_eq!(refused, 0, "whoever is known goes on");
    assert!(back.unwrap() < Duration::from_secs(2), "{back:?}");
}

/// Three nodes that share all slots.
pub struct Cluster {
    servers: Vec<Server>,
}

impl Cluster {
    pub fn start() -> Self {
        let more = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
        let servers: Vec<Server> = (0..3).map(|_| Server::start_with(&more)).collect();
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]);
        for server in &servers {
            create.arg(server.address.to_string());
        }
        let done = create.arg("--cluster-yes").output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
        let begun = Instant::now();
        let is_ok = |server: &Server| {
            server.ask::<String>(cmd("CLUSTER").arg("INFO")).contains("cluster_state:ok")
        };
        while !servers.iter().all(is_ok) {
            assert!(begun.elapsed() < SOON, "the cluster does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { servers }
    }

    pub fn store(&self) -> Store {
        let ports: Vec<u16> = self.servers.iter().map(|server| server.address.port()).collect();
        Store::Redis(Box::new(redis(RedisMode::Cluster, &ports[..1])))
    }
}

#[tokio::test]
async fn a_cluster_keeps_what_a_store_promises() {
    let cluster = Cluster::start();
    let (here, there) = (Node::start(cluster.store()), Node::start(cluster.store()));
    let (here, there) = (here.ready().await, there.ready().await);
    whole(&here, &there).await;
    let mut members = Vec::new();
    for number in 0..60 {
        members.push(here.sign_in(&format!("member-{number}")).await);
    }
    let on_each = |server: &Server| -> usize {
        let keys: Vec<String> = server.ask(cmd("KEYS").arg("anteport:s:*"));
        keys.len()
    };
    assert!(cluster.servers.iter().all(|server| on_each(server) > 0), "they are on every node");
    // Slots move while somebody asks for what is in them.
    let (from, to) = (&cluster.servers[0], &cluster.servers[1]);
    let id = |server: &Server| server.ask::<String>(cmd("CLUSTER").arg("MYID"));
    let mut reshard = Command::new("redis-cli");
    reshard.args(["--cluster", "reshard", &from.address.to_string()]);
    reshard.args(["--cluster-from", &id(from), "--cluster-to", &id(to)]);
    let mut moving = Process::start(reshard.args(["--cluster-slots", "5000", "--cluster-yes"]));
    let begun = Instant::now();
    let mut rounds = 0;
    loop {
        let is_over = moving.0.try_wait().unwrap().is_some();
        for (number, id) in members.iter().enumerate() {
            let name = there.find(id).await;
            let name = name
                .map(|found| found.map(|f| f.session().claims().text("name").unwrap().to_owned()));
            assert_eq!(name, Ok(Some(format!("member-{number}"))), "in round {rounds}");
        }
        rounds += 1;
        if is_over {
            break;
        }
        assert!(begun.elapsed() < 3 * SOON, "the slots do not move");
    }
    println!("{rounds} rounds while the slots moved");
    let new = there.sign_in("afterwards").await;
    eventually(async || here.find(&new).await.is_ok_and(|found| found.is_some())).await;
}

#[tokio::test]
async fn an_acl_user_needs_what_the_documentation_says_and_no_more() {
    let allowed = COMMANDS.lines().find_map(|line| line.strip_prefix("ACL SETUSER anteport on "));
    let allowed = allowed.unwrap().replace(">PASSWORD", ">secret");
    let server = Server::start();
    let mut rule = cmd("ACL");
    rule.arg("SETUSER").arg("anteport").arg("on");
    for word in allowed.split_whitespace() {
        rule.arg(word);
    }
    let _: String = server.ask(&mut rule);
    let mut settings = redis(RedisMode::Single, &[server.address.port()]);
    settings.username = Some("anteport".to_owned());
    settings.password = Some(Secret::new("secret".to_owned()));
    let store = || Store::Redis(Box::new(settings.clone()));
    let (here, there) = (Node::start(store()), Node::start(store()));
    let (here, there) = (here.ready().await, there.ready().await);
    whole(&here, &there).await;
    let refused: String = server.ask(cmd("INFO").arg("errorstats"));
    assert!(!refused.contains("NOPERM"), "{refused}");
    drop(single(&server));
}

fn openssl(folder: &Path, script: &str) {
    let done = Command::new("sh").arg("-ec").arg(script).current_dir(folder).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test]
async fn cry_03_redis_is_spoken_with_over_tls_if_it_can_prove_who_it_is() {
    let folder = Folder::new();
    let mut script = String::from(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key \
         -out ca.pem -days 2 -subj /CN=ca -addext basicConstraints=critical,CA:TRUE 2>/dev/null\n",
    );
    for (name, san) in [("server", "IP:127.0.0.1"), ("other", "IP:127.0.0.2"), ("us", "DNS:us")] {
        write!(
            script,
            "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key \
             -out {name}.csr -subj /CN={name} 2>/dev/null\n\
             printf 'subjectAltName={san}\\n' > {name}.ext\n\
             openssl x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
             -extfile {name}.ext -out {name}.pem 2>/dev/null\n"
        )
        .unwrap();
    }
    openssl(&folder.0, &script);
    let read = |name: &str| std::fs::read(folder.at(name)).unwrap();
    let path = |name: &str| folder.at(name).display().to_string();
    let start = |name: &str| {
        let port = free_port().port().to_string();
        let (certificate, key) = (path(&format!("{name}.pem")), path(&format!("{name}.key")));
        let ca = path("ca.pem");
        let more = [
            "--tls-port",
            &port,
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &ca,
            "--tls-auth-clients",
            "yes",
        ];
        (Server::start_with(&more), port.parse::<u16>().unwrap())
    };
    let settings = |port: u16, is_known: bool| -> Redis {
        let certificate = is_known.then(|| (read("us.pem"), Secret::new(read("us.key"))));
        let tls = Some(RedisTls { ca: Some(read("ca.pem")), certificate });
        Redis { tls, ..redis(RedisMode::Single, &[port]) }
    };
    let (server, port) = start("server");
    let store = || Store::Redis(Box::new(settings(port, true)));
    let (here, there) = (Node::start(store()), Node::start(store()));
    let (here, there) = (here.ready().await, there.ready().await);
    whole(&here, &there).await;
    let (other, other_port) = start("other");
    let strangers = [
        Store::Redis(Box::new(settings(port, false))),
        Store::Redis(Box::new(settings(other_port, true))),
        Store::Redis(Box::new(redis(RedisMode::Single, &[port]))),
    ];
    let refused = |server: &Server| {
        let info: String = server.ask(cmd("INFO").arg("stats"));
        let line = info.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        line.unwrap().trim().parse::<u64>().unwrap()
    };
    for store in strangers {
        let before = refused(&server) + refused(&other);
        let node = Node::start(store);
        eventually(async || refused(&server) + refused(&other) > before + 6).await;
        let id = anteport::gate::SessionId::new([9; 32]);
        assert!(node.find(&id).await.is_err(), "nothing is asked of somebody else");
    }
}
