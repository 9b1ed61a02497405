//! The emulated Microsoft beside the binary, and the provider of a configuration that asks it.

use std::net::TcpListener;
use std::sync::Arc;

use anteport::clock::Clock;
use anteport::demo::Ports;
use anteport::demo::microsoft::{self, Microsoft, Options};
use anteport::demo::story::Story;
use anteport::gate::Secret;

/// Starts it, for as long as the tests run.
pub(crate) fn microsoft(ports: &Ports) -> Arc<Microsoft> {
    let clock = Clock::system();
    let secret = Secret::new("canary-of-the-secret".to_owned());
    let options = Options::demo(ports, secret, Story::new(clock.clone()));
    let microsoft = Microsoft::new(format!("http://127.0.0.1:{}", ports.microsoft), clock, options);
    let serving = Arc::clone(&microsoft);
    let listener = TcpListener::bind(("127.0.0.1", ports.microsoft)).unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            microsoft::serve(listener, serving, std::future::pending()).await.unwrap();
        });
    });
    microsoft
}

/// `providers`, with it at this port as the only one.
pub(crate) fn providers(port: u16) -> String {
    format!(
        r#"providers:
  corporate:
    kind: entra_id
    authority: "http://127.0.0.1:{port}"
    tenant: 3f1c2a64-8b7d-4e0a-9c55-6d2f0b9a7e11
    client_id: a94b6d1e-0c2f-47d8-b3e5-8f6a1d7c9b20
    credentials: [ {{ secret: {{ value: "canary-of-the-secret" }} }} ]"#
    )
}
