//! Bodies on their way: events as they come, and no more in memory than both sides take.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{Plan, World};

const OPEN: &str = "
    mode: \"off\"
    routes: [{ path: \"/**\", access: public }]";

async fn before(upstream: &TcpListener) -> World {
    let port = upstream.local_addr().unwrap().port();
    let upstream = Some(format!("{{ url: \"http://127.0.0.1:{port}\" }}"));
    World::start_with(Plan { portal: OPEN, upstream, ..Plan::default() }).await
}

async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Writes until the other side has taken nothing for a while; how much that was.
async fn pour(stream: &mut TcpStream, most: usize) -> usize {
    let piece = vec![b'x'; 64 * 1024];
    let mut poured = 0;
    while poured < most {
        let piece = &piece[..piece.len().min(most - poured)];
        match tokio::time::timeout(Duration::from_millis(500), stream.write(piece)).await {
            Ok(count) => poured += count.unwrap(),
            Err(_) => break,
        }
    }
    poured
}

/// What the kernel may hold on both sides of two connections, and we in between.
const HELD: usize = 24 * 1024 * 1024;
const MUCH: usize = 256 * 1024 * 1024;

#[tokio::test]
async fn events_arrive_one_by_one_as_they_are_sent() {
    let portal = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let world = before(&portal).await;
    let mut visitor = TcpStream::connect(world.proxy).await.unwrap();
    let request = format!("GET /events HTTP/1.1\r\nHost: {}\r\n\r\n", world.proxy);
    visitor.write_all(request.as_bytes()).await.unwrap();
    let (mut stream, _) = portal.accept().await.unwrap();
    head(&mut stream).await;
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    stream.write_all(answer.as_bytes()).await.unwrap();
    let told = head(&mut visitor).await;
    assert!(told.contains("content-type: text/event-stream\r\n"), "{told}");
    for number in 0..5 {
        // The next is sent once this one has arrived: nothing waits for more to come.
        let event = format!("data: {number}\n\n");
        stream.write_all(event.as_bytes()).await.unwrap();
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        let mut heard = vec![0; chunk.len()];
        visitor.read_exact(&mut heard).await.unwrap();
        assert_eq!(String::from_utf8(heard).unwrap(), chunk);
    }
    drop(stream);
    let mut end = [0; 5];
    visitor.read_exact(&mut end).await.unwrap();
    assert_eq!(&end, b"0\r\n\r\n");
    world.stop().await;
}

#[tokio::test]
async fn lim_07_an_upload_waits_for_a_portal_that_does_not_read() {
    let portal = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let world = before(&portal).await;
    let mut visitor = TcpStream::connect(world.proxy).await.unwrap();
    let request =
        format!("PUT /file HTTP/1.1\r\nHost: {}\r\nContent-Length: {MUCH}\r\n\r\n", world.proxy);
    visitor.write_all(request.as_bytes()).await.unwrap();
    let (mut stream, _) = portal.accept().await.unwrap();
    head(&mut stream).await;
    let poured = pour(&mut visitor, MUCH).await;
    assert!(poured < HELD, "{poured} bytes were taken for a portal that reads none");
    // Once it reads, everything goes on.
    let reading = tokio::spawn(async move {
        let mut left = MUCH;
        let mut buffer = vec![0; 256 * 1024];
        while left > 0 {
            left -= stream.read(&mut buffer).await.unwrap();
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        stream
    });
    assert_eq!(poured + pour(&mut visitor, MUCH - poured).await, MUCH);
    assert!(head(&mut visitor).await.starts_with("HTTP/1.1 204 "));
    drop(reading.await.unwrap());
    world.stop().await;
}

#[tokio::test]
async fn lim_07_a_download_waits_for_a_visitor_who_does_not_read() {
    let portal = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let world = before(&portal).await;
    let mut visitor = TcpStream::connect(world.proxy).await.unwrap();
    let request = format!("GET /file HTTP/1.1\r\nHost: {}\r\n\r\n", world.proxy);
    visitor.write_all(request.as_bytes()).await.unwrap();
    let (mut stream, _) = portal.accept().await.unwrap();
    head(&mut stream).await;
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {MUCH}\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
    let poured = pour(&mut stream, MUCH).await;
    assert!(poured < HELD, "{poured} bytes were taken for a visitor who reads none");
    let sending = tokio::spawn(async move { pour(&mut stream, MUCH - poured).await });
    head(&mut visitor).await;
    let mut left = MUCH;
    let mut buffer = vec![0; 256 * 1024];
    while left > 0 {
        left -= visitor.read(&mut buffer).await.unwrap();
    }
    assert_eq!(poured + sending.await.unwrap(), MUCH);
    world.stop().await;
}
