//! Mail between sessions, on the loopback.

use crate::dht::until;
use crate::support::{Node, config};
use althing_node::Config;
use althing_node::session::MailError;
use althing_overlay::NodeId;
use althing_overlay::mail::io::State;
use std::net::SocketAddr;

fn settings(peers: &[SocketAddr]) -> Config {
    let mut config = config();
    config.overlay.enabled = true;
    config.overlay.peers = peers.to_vec();
    config
}

async fn name(node: &Node) -> NodeId {
    node.session.overlay().await.expect("it takes part").node
}

async fn linked(node: &Node) {
    let links = async || node.session.overlay().await.expect("it takes part").links.len();
    until("it has a link", async || (links().await >= 1).then_some(())).await;
}

/// The texts that have come.
async fn texts(node: &Node) -> Vec<String> {
    let mails = node.session.mail().await.expect("it takes part");
    let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
    mails.received.iter().map(|received| text(&received.letter.body)).collect()
}

async fn states(node: &Node) -> Vec<State> {
    let mails = node.session.mail().await.expect("it takes part");
    mails.sent.iter().map(|sent| sent.state).collect()
}

async fn comes(node: &Node, text: &str) {
    until("it comes", async || texts(node).await.contains(&text.to_owned()).then_some(())).await;
}

async fn is_delivered(node: &Node) {
    let all = async || {
        let states = states(node).await;
        states.iter().all(|state| matches!(state, State::Delivered(_))).then_some(())
    };
    until("it is delivered", all).await;
}

#[tokio::test]
async fn who_is_there_gets_it_at_once() {
    let first = Node::with(settings(&[])).await;
    let second = Node::with(settings(&[first.addr()])).await;
    linked(&first).await;
    linked(&second).await;
    let to = name(&second).await.to_string();
    let sent = first.session.mail_send(&to, "hello\nthere").await.expect("it is sent");
    comes(&second, "hello\nthere").await;
    is_delivered(&first).await;
    // It is read, answered by the beginning of the other's name, and thrown away.
    let received = second.session.mail().await.expect("it takes part").received;
    assert_eq!(received[0].letter.sender, name(&first).await);
    let id = second.session.mail_id(&received[0].id.to_string()[..8]).await.expect("it is there");
    assert_eq!(id, sent.envelope.id());
    assert!(second.session.mail_read(id).await.expect("it is there").is_read);
    let back = &name(&first).await.to_string()[..8];
    second.session.mail_send(back, "yes").await.expect("it is sent");
    comes(&first, "yes").await;
    second.session.mail_remove(id).await.expect("it is there");
    assert!(matches!(second.session.mail_remove(id).await, Err(MailError::NoSuch { .. })));
    assert!(texts(&second).await.is_empty());
    let nobody = first.session.mail_send("0123456789", "hello").await;
    assert!(matches!(nobody, Err(MailError::Receiver { .. })));
    let long = "x".repeat(16_000);
    assert!(matches!(first.session.mail_send(&to, &long).await, Err(MailError::TooLong { .. })));
    first.session.shutdown().await;
    second.session.shutdown().await;
}

#[tokio::test]
async fn who_is_not_there_gets_it_of_another_and_the_sender_hears_of_it_when_he_is_back() {
    let carrier = Node::with(settings(&[])).await;
    let known = [carrier.addr()];
    // Somebody who was there once.
    let receiver = Node::with(settings(&known)).await;
    let to = name(&receiver).await.to_string();
    receiver.session.shutdown().await;
    let sender = Node::with(settings(&known)).await;
    linked(&sender).await;
    sender.session.mail_send(&to, "you were away").await.expect("it is sent");
    let held = async || matches!(states(&sender).await[..], [State::Held(1)]).then_some(());
    until("it is carried", held).await;
    sender.session.shutdown().await;
    // Also the carrier is started again meanwhile: it has it on disk.
    let carrier = carrier.restart().await;
    let known = settings(&[carrier.addr()]);
    let receiver = receiver.start_again_with(known.clone()).await;
    comes(&receiver, "you were away").await;
    // Before it is gone again it has shown that it has it.
    let carried = async || carrier.session.overlay().await.expect("it is there").stats.mail.carried;
    until("it is shown", async || (carried().await == 0).then_some(())).await;
    receiver.session.shutdown().await;
    let sender = sender.start_again_with(known).await;
    is_delivered(&sender).await;
    // And is so for good, and nothing comes twice.
    let sender = sender.restart().await;
    assert!(matches!(states(&sender).await[..], [State::Delivered(_)]));
    let receiver = receiver.start_again().await;
    linked(&receiver).await;
    assert_eq!(texts(&receiver).await, ["you were away"]);
    for node in [carrier, sender, receiver] {
        node.session.shutdown().await;
    }
}

#[tokio::test]
async fn who_takes_no_mail_says_so() {
    let node = Node::with(settings(&[])).await;
    let mut config = settings(&[node.addr()]);
    config.mail.enabled = false;
    let off = Node::with(config).await;
    let to = name(&node).await.to_string();
    let error = off.session.mail_send(&to, "hello").await.expect_err("it is off").to_string();
    assert!(error.contains("mail.enabled"), "{error}");
    node.session.shutdown().await;
    off.session.shutdown().await;
}
