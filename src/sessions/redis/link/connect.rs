//! Connections are made: to one server, to the one that Sentinels name, to all nodes of a Cluster.
//! Deliberately not here: when (`link`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo as _, ProtocolVersion, PushInfo, RedisConnectionInfo, RedisError,
    RedisResult, TlsCertificates, TlsMode, Value, cmd,
};

use super::{CONNECT_TIME, Link, Node, WAITING, Wiring, is_primary};
use crate::config::{RedisMode, ServerAddress};
use crate::sessions::redis::slots::{self, SLOTS};

impl Link {
    pub(super) async fn connect(self: &Arc<Self>) -> RedisResult<Wiring> {
        let generation = self.generation.fetch_add(1, Ordering::AcqRel) + 1;
        match &self.settings.mode {
            RedisMode::Single => {
                let server = self.settings.servers.first().ok_or_else(nowhere)?;
                let node = self.open(&server.host, server.port, generation).await?;
                Ok(Wiring { nodes: vec![node], slots: None })
            }
            RedisMode::Sentinel { .. } => {
                let mut kept = self.sentinel.lock().await;
                let sentinel = match kept.as_mut() {
                    Some(sentinel) => sentinel,
                    None => kept.insert(self.sentinel()?),
                };
                let client = sentinel.async_get_client().await?;
                drop(kept);
                let address = client.get_connection_info().addr().to_string();
                let node = self.open_with(&client, address, generation).await?;
                if !is_primary(&mut node.connection.clone()).await? {
                    return Err((ErrorKind::Client, "it is not the primary any more").into());
                }
                Ok(Wiring { nodes: vec![node], slots: None })
            }
            RedisMode::Cluster => self.connect_cluster(generation).await,
        }
    }

    pub(super) async fn connect_cluster(self: &Arc<Self>, generation: u64) -> RedisResult<Wiring> {
        let mut nodes: Vec<Node> = Vec::new();
        let known: Vec<ServerAddress> = self.known_servers();
        let mut failed = None;
        let mut found = None;
        for server in known.iter().chain(&self.settings.servers) {
            match self.open(&server.host, server.port, generation).await {
                Ok(node) => {
                    let mut connection = node.connection.clone();
                    let answer: Value =
                        cmd("CLUSTER").arg("SLOTS").query_async(&mut connection).await?;
                    found = slots::ranges(&answer).map(|ranges| (server.host.clone(), ranges));
                    nodes.push(node);
                    break;
                }
                Err(error) => failed = Some(error),
            }
        }
        let Some((seed, ranges)) = found else {
            return Err(failed.unwrap_or_else(nowhere));
        };
        let mut by_slot = vec![None; usize::from(SLOTS)];
        for range in ranges {
            let host = if range.host.is_empty() { &seed } else { &range.host };
            let address = format!("{host}:{}", range.port);
            let index = match nodes.iter().position(|node| node.address == address) {
                Some(index) => Some(index),
                // One that is down has its slots down, and no others.
                None => match self.open(host, range.port, generation).await {
                    Ok(node) => {
                        nodes.push(node);
                        Some(nodes.len() - 1)
                    }
                    Err(_) => None,
                },
            };
            let index = index.and_then(|index| u16::try_from(index).ok());
            let slots = usize::from(range.first)..=usize::from(range.last);
            for slot in by_slot.get_mut(slots).into_iter().flatten() {
                *slot = index;
            }
        }
        if by_slot.iter().any(Option::is_none) {
            return Err((ErrorKind::Client, "some slots of the cluster are nobody's").into());
        }
        Ok(Wiring { nodes, slots: Some(by_slot) })
    }

    /// The nodes that were well when last looked at: those that are configured may all be gone.
    pub(super) fn known_servers(&self) -> Vec<ServerAddress> {
        let wiring = self.wiring.load();
        let well = wiring.nodes.iter().filter(|node| !node.is_lost.load(Ordering::Acquire));
        let parts = well.filter_map(|node| node.address.rsplit_once(':'));
        let server = |(host, port): (&str, &str)| {
            Some(ServerAddress { host: host.to_owned(), port: port.parse().ok()? })
        };
        parts.filter_map(server).collect()
    }

    pub(super) async fn open(
        self: &Arc<Self>,
        host: &str,
        port: u16,
        generation: u64,
    ) -> RedisResult<Node> {
        let address = self.address(host, port);
        let info: ConnectionInfo = address.into_connection_info()?;
        let info = info.set_redis_settings(self.user());
        let client = match self.certificates() {
            Some(certificates) => Client::build_with_tls(info, certificates)?,
            None => Client::open(info)?,
        };
        self.open_with(&client, format!("{host}:{port}"), generation).await
    }

    pub(super) async fn open_with(
        self: &Arc<Self>,
        client: &Client,
        address: String,
        generation: u64,
    ) -> RedisResult<Node> {
        let is_lost = Arc::new(AtomicBool::new(false));
        let (link, lost) = (Arc::downgrade(self), Arc::clone(&is_lost));
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIME))
            // Whoever asks has a time of their own.
            .set_response_timeout(Some(CONNECT_TIME))
            .set_pipeline_buffer_size(WAITING)
            .set_push_sender(move |push: PushInfo| {
                if let Some(link) = link.upgrade() {
                    link.hear(push, &lost, generation);
                }
                Ok::<_, ()>(())
            });
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        let () = cmd("CLIENT")
            .arg("TRACKING")
            .arg("ON")
            .arg("NOLOOP")
            .query_async(&mut connection)
            .await?;
        Ok(Node { address, connection, is_lost })
    }

    pub(super) fn address(&self, host: &str, port: u16) -> ConnectionAddr {
        match self.settings.tls {
            None => ConnectionAddr::Tcp(host.to_owned(), port),
            Some(_) => ConnectionAddr::TcpTls {
                host: host.to_owned(),
                port,
                insecure: false,
                tls_params: None,
            },
        }
    }

    pub(super) fn user(&self) -> RedisConnectionInfo {
        let mut user = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP3)
            .set_skip_set_lib_name()
            .set_db(self.settings.database);
        if let Some(name) = &self.settings.username {
            user = user.set_username(name);
        }
        if let Some(password) = &self.settings.password {
            user = user.set_password(password.expose());
        }
        user
    }

    pub(super) fn certificates(&self) -> Option<TlsCertificates> {
        let tls = self.settings.tls.as_ref()?;
        Some(TlsCertificates {
            client_tls: tls.certificate.as_ref().map(|(certificate, key)| ClientTlsConfig {
                client_cert: certificate.clone(),
                client_key: key.expose().clone(),
            }),
            root_cert: tls.ca.clone(),
        })
    }

    pub(super) fn sentinel(&self) -> RedisResult<SentinelClient> {
        let RedisMode::Sentinel { master, username, password } = &self.settings.mode else {
            return Err(nowhere());
        };
        let servers = self.settings.servers.iter();
        let servers = servers.map(|server| self.address(&server.host, server.port));
        let kind = SentinelServerType::Master;
        let mut builder = SentinelClientBuilder::new(servers, master.clone(), kind)?
            .set_client_to_redis_protocol(ProtocolVersion::RESP3)
            .set_client_to_redis_db(self.settings.database);
        if let Some(name) = &self.settings.username {
            builder = builder.set_client_to_redis_username(name);
        }
        if let Some(password) = &self.settings.password {
            builder = builder.set_client_to_redis_password(password.expose());
        }
        if let Some(name) = username {
            builder = builder.set_client_to_sentinel_username(name);
        }
        if let Some(password) = password {
            builder = builder.set_client_to_sentinel_password(password.expose());
        }
        if let Some(certificates) = self.certificates() {
            builder = builder
                .set_client_to_redis_tls_mode(TlsMode::Secure)
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_tls_mode(TlsMode::Secure)
                .set_client_to_sentinel_certificates(certificates);
        }
        builder.build()
    }
}

fn nowhere() -> RedisError {
    (ErrorKind::InvalidClientConfig, "there is no server to connect to").into()
}
