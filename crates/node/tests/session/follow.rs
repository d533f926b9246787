//! Sessions that follow what another publishes (BEP 46), in a DHT of their own on the loopback. What is
//! followed is looked up at the start: instead of waiting a quarter of an hour, they start again.

use crate::dht::{nodes_of, settings, three, until};
use crate::support::{Node, assert_files, config, noise, torrent};
use althing_bittorrent::metainfo::{FeedError, FollowLink, Format, Metainfo, PeerAddress, item_of};
use althing_dht::wire::{Item, Mutable};
use althing_node::session::{
    AddError, AddOptions, AddSource, PublishError, TorrentId, TorrentState,
};
use bytes::Bytes;

/// The secret key of a publisher who is no Althing.
const SECRET: [u8; 32] = [7; 32];

fn signed(seq: i64, value: Vec<u8>) -> Mutable {
    Mutable::sign(&SECRET, Bytes::from_static(b"n"), seq, value.into())
}

/// Puts an item until some node takes it.
async fn put(node: &Node, item: Mutable) {
    until("it is put", async || node.session.dht_put(Item::Mutable(item.clone()), None).await.ok())
        .await;
}

fn link(peer: &Node) -> FollowLink {
    let key: String = signed(0, Vec::new()).key.iter().map(|byte| format!("{byte:02x}")).collect();
    let link: FollowLink = format!("magnet:?xs=urn:btpk:{key}&s=6e").parse().expect("a link");
    FollowLink { peers: vec![PeerAddress::Ip(peer.addr())], ..link }
}

async fn add(node: &Node, link: &FollowLink) -> Result<TorrentId, AddError> {
    node.session.add(AddSource::Follow(link.clone()), AddOptions::default()).await
}

fn version(metainfo: &Metainfo) -> Vec<u8> {
    item_of(metainfo.info_hashes().v1().expect("a v1 torrent"))
}

#[tokio::test]
async fn only_what_is_newer_and_a_torrent_takes_the_place_of_what_is_here() {
    let files = vec![("same", noise(1, 100_000)), ("old", noise(2, 40_000))];
    let newer = vec![("same", noise(1, 100_000)), ("new", noise(3, 50_000))];
    let first = torrent("first", Format::V1, &files);
    let second = torrent("second", Format::Hybrid, &newer);
    let [publisher, other, follower] = three().await;
    let link = link(&publisher);
    let begin = [publisher.addr(), other.addr()];

    put(&other, signed(5, b"2:hi".to_vec())).await;
    let refused = add(&follower, &link).await;
    assert!(matches!(refused, Err(AddError::Feed(FeedError::NoDictionary))), "{refused:?}");
    assert!(follower.session.list().is_empty());

    publisher.seed(&first, &files).await;
    put(&other, signed(6, version(&first))).await;
    let id = until("the newest is found", async || add(&follower, &link).await.ok()).await;
    assert_eq!(id.to_string(), first.info_hashes().primary().to_string());
    follower.complete(id).await;
    let followed = follower.session.followed(id).expect("it is followed");
    assert_eq!((followed.seq, &followed.link.feed), (Some(6), &link.feed));
    let again = add(&follower, &link).await;
    assert!(matches!(again, Err(AddError::AlreadyHere { id: here, .. }) if here == id));

    // Newer, and no torrent: what is here stays, and the user can read why.
    // (While the follower is away, so that it is not the only one who keeps it.)
    follower.session.shutdown().await;
    put(&other, signed(7, b"d2:ih3:abce".to_vec())).await;
    let follower = follower.start_again_with(settings(&begin)).await;
    until("it is said", async || {
        let note = follower.session.followed(id)?.note?;
        note.contains("3 bytes").then_some(())
    })
    .await;
    assert_eq!(follower.session.list().len(), 1);

    // Of another name: both are there until the new one is complete, and no file is deleted.
    publisher.seed(&second, &newer).await;
    follower.session.shutdown().await;
    put(&other, signed(8, version(&second))).await;
    let follower = follower.start_again_with(settings(&begin)).await;
    let new = until("the new one is alone", async || match &follower.session.list()[..] {
        [one] if one.state == TorrentState::Seeding && one.id != id => Some(one.id),
        _ => None,
    })
    .await;
    assert_eq!(follower.session.followed(new).and_then(|followed| followed.seq), Some(8));
    assert_files(&follower.downloads().join("first"), &files);
    assert_files(&follower.downloads().join("second"), &newer);
}

#[tokio::test]
async fn what_is_published_keeps_its_key_and_counts_up() {
    let files = vec![("one", noise(1, 40_000))];
    let newer = vec![("one", noise(2, 40_000))];
    let first = torrent("first", Format::Hybrid, &files);
    let second = torrent("second", Format::V1, &newer);
    let [publisher, other, third] = three().await;
    let id = publisher.seed(&first, &files).await;
    let what = || "name news".to_owned();
    publisher.session.publish(what(), id).await.expect("it can be");
    let put = async |publisher: &Node, id| {
        until("it is put", async || {
            publisher.session.published(id).filter(|published| published.put.is_some())
        })
        .await
    };
    let before = put(&publisher, id).await;
    assert_eq!(before.seq, Some(1));

    // After a restart it is put again as it is.
    publisher.session.shutdown().await;
    let begin = [other.addr(), third.addr()];
    let publisher = publisher.start_again_with(settings(&begin)).await;
    let after = put(&publisher, id).await;
    assert_eq!((after.seq, &after.link), (Some(1), &before.link));

    // Under the same name something else: the next number, and the old one is out of the list.
    let new = publisher.seed(&second, &newer).await;
    publisher.session.publish(what(), new).await.expect("it can be");
    let after = put(&publisher, new).await;
    assert_eq!((after.seq, &after.link.feed), (Some(2), &before.link.feed));
    assert!(publisher.session.snapshot(id).is_none());
    let found = until("others find it", async || {
        assert!(nodes_of(&third).await > 0);
        let feed = after.link.feed.clone();
        third.session.dht_get_mutable(feed.key, feed.salt.into()).await.ok()?.0
    })
    .await;
    let Item::Mutable(found) = found else { panic!("it is signed: {found:?}") };
    assert_eq!((found.seq, found.value.to_vec()), (2, version(&second)));
}

#[tokio::test]
async fn what_cannot_be_followed_is_refused() {
    let files = vec![("one", noise(1, 40_000)), ("two", noise(2, 40_000))];
    let node = Node::with(config()).await;
    let id = node.seed(&torrent("v2", Format::V2, &files), &files).await;
    let refused = node.session.publish("name v2".to_owned(), id).await;
    assert_eq!(refused, Err(PublishError::NoV1));
    // Without a DHT there is no way to know.
    let refused = add(&node, &link(&node)).await;
    assert!(matches!(refused, Err(AddError::NoDht { .. })), "{refused:?}");
}
