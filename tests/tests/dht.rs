//! The DHT among real nodes: libtorrent's and ours find what the other announced and stored, aria2
//! finds us, and what is private is in nobody's table.
//!
//! Every test has a network of its own, without a tracker, local discovery or peer exchange: whoever
//! meets whom has been told of it by a node of the DHT.

use std::io::Write as _;
use std::path::Path;
use std::process::{ChildStdin, Command};
use std::time::Duration;

use althing_tests::daemon::Daemon;
use althing_tests::http;
use althing_tests::net::{Host, Network};
use althing_tests::payload::{Empty, Payload};
use althing_tests::process::Process;
use althing_tests::scratch::Scratch;
use althing_tests::tools;
use althing_tests::torrent::{Format, PYTHON, SCRIPT, Torrent};
use althing_tests::wait::poll;
use serde_json::Value;

/// A search that came too early is made again after a minute.
const LIMIT: Duration = Duration::from_secs(100);

/// Where libtorrent's nodes are.
const PORT: u16 = 6881;

/// A network of libtorrent's nodes, of which the first is where all others begin.
struct Nodes {
    network: Network,
    scratch: Scratch,
    nodes: Vec<Node>,
    first: String,
}

/// One of them.
struct Node {
    process: Process,
    stdin: ChildStdin,
}

impl Node {
    fn start(host: &Host, folder: &Path, dht: &str) -> Node {
        let mut command = host.command(PYTHON);
        command.args(["-Wignore", SCRIPT, "node", "--dht", dht]);
        let (process, stdin) = Process::start_with_input("node", command, folder);
        Node { process, stdin }
    }

    /// Tells it something, and waits for a line that begins so.
    #[track_caller]
    fn ask(&mut self, words: &str, answer: &str) -> String {
        let before = self.process.output().lines().filter(|line| line.starts_with(answer)).count();
        writeln!(self.stdin, "{words}").expect("it reads what it is told");
        let said = poll(LIMIT, || {
            let output = self.process.output();
            output.lines().filter(|line| line.starts_with(answer)).nth(before).map(str::to_owned)
        });
        said.unwrap_or_else(|| panic!("no answer to {words:?}\n{}", self.process.tail()))
    }
}

/// The network, or a sentence why it cannot be.
fn nodes(test: &str, count: usize) -> Option<Nodes> {
    let network = tools::obstacle(&["python3-libtorrent"]).map_or_else(Network::new, Err);
    let mut network = match network {
        Ok(network) => network,
        Err(why) => {
            tools::skip(test, &why);
            return None;
        }
    };
    let scratch = Scratch::new();
    let mut nodes = Vec::new();
    let mut first = String::new();
    for number in 0..count {
        let name = format!("node{number}");
        let host = network.host(&name);
        let dht = if number == 0 { "first".to_owned() } else { first.clone() };
        nodes.push(Node::start(&host, &scratch.dir(&name), &dht));
        if number == 0 {
            first = format!("{}:{PORT}", host.ip());
        }
    }
    let known = |node: &Node| {
        let output = node.process.output();
        let last = output.lines().rev().find_map(|line| line.strip_prefix("nodes "));
        last.and_then(|number| number.parse::<usize>().ok()).unwrap_or(0)
    };
    let all = poll(LIMIT, || nodes[1..].iter().all(|node| known(node) > 0).then_some(()));
    assert!(all.is_some(), "they do not find each other\n{}", nodes[1].process.tail());
    Some(Nodes { network, scratch, nodes, first })
}

/// An Althing that begins at a node of the DHT, and finds peers in no other way.
fn start(host: Host, folder: &Path, bootstrap: &str) -> Daemon {
    let first = if bootstrap.is_empty() { String::new() } else { format!("{bootstrap:?}") };
    Daemon::start(host, folder, &format!("peer_exchange = false\n[dht]\nbootstrap = [{first}]"))
}

/// Stores an item of BEP 44; what came of it.
#[track_caller]
fn stores(daemon: &Daemon, item: &Value) -> Value {
    let read = |name| std::fs::read_to_string(daemon.data.join(name)).expect("it runs");
    let addr = read("api.addr").trim().parse().expect("an address");
    let headers = format!(
        "Authorization: Bearer {}\r\nContent-Type: application/json\r\n",
        read("api.token").trim()
    );
    let body = item.to_string();
    let answer = http::put(&daemon.host, addr, "/api/v1/dht/items", &headers, body.as_bytes());
    let answer = answer.unwrap_or_else(|error| panic!("{error}\n{}", daemon.process.tail()));
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_slice(&answer.body).expect("JSON")
}

/// A torrent that names no tracker, and its link, which names nothing but the info-hash.
fn make(scratch: &Scratch, format: Format) -> (Payload, Torrent, String) {
    let payload = Payload::write(&scratch.dir("seed-files"), 3);
    let file = scratch.path().join("assembly.torrent");
    let torrent = Torrent::make(&payload, format, &[], &file);
    let link = torrent.magnet.clone();
    (payload, torrent, link)
}

/// libtorrent with a torrent or a link.
fn libtorrent(host: &Host, folder: &Path, source: &Path, into: &Path, args: &[&str]) -> Process {
    let mut command = host.command(PYTHON);
    command.args(["-Wignore", SCRIPT, "run"]).arg(source).arg(into).args(args);
    Process::start("libtorrent", command, folder)
}

#[track_caller]
fn arrives(payload: &Payload, copy: &Path, said: impl Fn() -> String) {
    let same = || payload.difference(copy, Empty::Kept).is_none().then_some(());
    assert!(poll(LIMIT, same).is_some(), "not complete within {LIMIT:?}\n{}", said());
}

#[test]
fn althing_finds_what_libtorrent_announced_by_a_link_alone() {
    let test = "althing_finds_what_libtorrent_announced_by_a_link_alone";
    for format in [Format::V1, Format::V2] {
        let Some(Nodes { mut network, scratch, nodes, first }) = nodes(test, 4) else { return };
        let (payload, torrent, link) = make(&scratch, format);
        let (gives, takes) = (network.host("seed"), network.host("leecher"));
        let args = ["--seed", "--dht", &first];
        let seed = libtorrent(&gives, &scratch.dir("seed"), &torrent.file, payload.parent(), &args);
        let althing = start(takes, &scratch.dir("leecher"), &first);
        althing.knows(nodes.len() as u64);
        let copy = scratch.dir("copy");
        althing.does(&["get", &link, "-o", &copy.to_string_lossy()]);
        arrives(&payload, &copy, || format!("{}{}", seed.tail(), althing.process.tail()));
        let peers = althing.json(&["dht", "find", &link]);
        let of_seed = format!("{}:", gives.ip());
        let found = peers["peers"].as_array().expect("a list");
        let found = found.iter().filter_map(Value::as_str).any(|peer| peer.starts_with(&of_seed));
        assert!(found, "{peers}");
    }
}

#[test]
fn libtorrent_finds_what_althing_announced_by_a_link_alone() {
    let test = "libtorrent_finds_what_althing_announced_by_a_link_alone";
    let Some(Nodes { mut network, scratch, nodes, first }) = nodes(test, 4) else { return };
    let (payload, torrent, link) = make(&scratch, Format::V1);
    let (gives, takes) = (network.host("seed"), network.host("leecher"));
    let althing = start(gives, &scratch.dir("seed"), &first);
    althing.knows(nodes.len() as u64);
    let into = payload.parent().to_string_lossy().into_owned();
    althing.does(&["get", &torrent.file.to_string_lossy(), "-o", &into]);
    althing.announces(&torrent.info_hashes[0]);
    let copy = scratch.dir("copy");
    let args = ["--dht", first.as_str()];
    let leecher = libtorrent(&takes, &scratch.dir("leecher"), Path::new(&link), &copy, &args);
    arrives(&payload, &copy, || format!("{}{}", leecher.tail(), althing.process.tail()));
}

#[test]
fn aria2_finds_what_althing_announced_by_a_link_alone() {
    let test = "aria2_finds_what_althing_announced_by_a_link_alone";
    if let Err(why) = tools::obstacle(&["aria2c"]).map_or(Ok(()), Err) {
        return tools::skip(test, &why);
    }
    let Some(Nodes { mut network, scratch, nodes, first }) = nodes(test, 4) else { return };
    let (payload, torrent, link) = make(&scratch, Format::V1);
    let (gives, takes) = (network.host("seed"), network.host("leecher"));
    let althing = start(gives, &scratch.dir("seed"), &first);
    althing.knows(nodes.len() as u64);
    let into = payload.parent().to_string_lossy().into_owned();
    althing.does(&["get", &torrent.file.to_string_lossy(), "-o", &into]);
    althing.announces(&torrent.info_hashes[0]);
    let (copy, folder) = (scratch.dir("copy"), scratch.dir("leecher"));
    let mut command = takes.command("aria2c");
    command
        .args(["--no-conf", "--enable-dht=true", "--enable-dht6=false", "--bt-enable-lpd=false"])
        .args(["--enable-peer-exchange=false", "--listen-port=6881", "--dht-listen-port=6882"])
        .args(["--file-allocation=none", "--seed-ratio=0.0", "--summary-interval=1"])
        .arg(format!("--dht-entry-point={first}"))
        .arg(format!("--dht-file-path={}", folder.join("dht.dat").display()))
        .arg(format!("--dir={}", copy.display()))
        .arg(&link);
    let aria2 = Process::start("aria2", command, &folder);
    arrives(&payload, &copy, || format!("{}{}", aria2.tail(), althing.process.tail()));
}

#[test]
fn items_are_found_both_ways() {
    let test = "items_are_found_both_ways";
    let Some(Nodes { mut network, scratch, mut nodes, first }) = nodes(test, 4) else { return };
    let althing = start(network.host("one"), &scratch.dir("one"), &first);
    let other = start(network.host("two"), &scratch.dir("two"), &first);
    althing.knows(nodes.len() as u64);
    other.knows(nodes.len() as u64);
    let stored = althing.json(&["dht", "put", "what Althing says"]);
    let target = stored["target"].as_str().expect("a name").to_owned();
    assert!(stored["nodes"].as_u64() > Some(2), "{stored}");
    let said = nodes[2].ask(&format!("get {target}"), &format!("item {target}"));
    assert!(said.ends_with("what Althing says"), "{said}");
    let put = nodes[3].ask("put what libtorrent says", "put ");
    let target = put.split(' ').nth(1).expect("a name").to_owned();
    let item = other.json(&["dht", "get", &target]);
    let expected: String = b"20:what libtorrent says".iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(item["value"], expected.as_str(), "{item}");
}

/// The keys and the items of BEP 44's examples: the value is "Hello World!", the number 1.
const SECRET: &str = "e06d3183d14159228433ed599221b80bd0a5ce8352e4bdf0262f76786ef1c74d\
                      b7e7a9fea2c0eb269d61e3b38e450a22e754941ac78479d6c54e1faf6037881d";
const KEY: &str = "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548";
const SIGNATURE: &str = "305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff\
                         1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01";
const SIGNATURE_SALTED: &str = "6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17d\
                                df9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn signed_items_are_found_and_replaced_both_ways() {
    let test = "signed_items_are_found_and_replaced_both_ways";
    let Some(Nodes { mut network, scratch, mut nodes, first }) = nodes(test, 4) else { return };
    let althing = start(network.host("one"), &scratch.dir("one"), &first);
    let other = start(network.host("two"), &scratch.dir("two"), &first);
    althing.knows(nodes.len() as u64);
    other.knows(nodes.len() as u64);
    let reads = |salt: Option<&str>, seq: i64, text: &str| {
        let mut args = vec!["dht", "get", KEY];
        args.extend(salt.iter().flat_map(|salt| ["--salt", salt]));
        let item = other.json(&args);
        assert_eq!(item["seq"], seq, "{item}");
        assert_eq!(item["value"], hex(format!("{}:{text}", text.len()).as_bytes()).as_str());
        item
    };
    for (salt, signature) in [("", SIGNATURE), ("foobar", SIGNATURE_SALTED)] {
        // Ours is what theirs find.
        let shown = if salt.is_empty() { "-" } else { salt };
        let mut item = serde_json::json!({
            "value": hex(b"12:Hello World!"), "key": KEY, "seq": 1, "signature": signature,
        });
        if !salt.is_empty() {
            item["salt"] = hex(salt.as_bytes()).into();
        }
        let stored = stores(&althing, &item);
        assert!(stored["nodes"].as_u64() > Some(2), "{stored}");
        let said = nodes[2].ask(&format!("newest {KEY} {shown}"), &format!("newest {shown} "));
        assert!(said.contains(" 1 ") && said.contains("Hello World!"), "{said}");
        // And gives way to what they have that is newer, under the same key and salt.
        let signed = format!("sign {SECRET} {KEY} {shown} what libtorrent signed");
        let said = nodes[3].ask(&signed, &format!("signed {shown} "));
        assert!(said.starts_with(&format!("signed {shown} 2 ")), "{said}");
        reads((!salt.is_empty()).then_some(salt), 2, "what libtorrent signed");
    }
    // What they begin is what we read; each salt has its own.
    nodes[1].ask(&format!("sign {SECRET} {KEY} other Hello World!"), "signed other 1 ");
    reads(Some("other"), 1, "Hello World!");
    reads(Some("foobar"), 2, "what libtorrent signed");
}

#[test]
fn saved_nodes_are_enough_after_a_restart() {
    let test = "saved_nodes_are_enough_after_a_restart";
    let Some(Nodes { mut network, scratch, nodes, first }) = nodes(test, 4) else { return };
    let host = network.host("one");
    let folder = scratch.dir("one");
    let mut althing = start(host.clone(), &folder, &first);
    althing.knows(nodes.len() as u64);
    let id = |daemon: &Daemon| daemon.json(&["dht"])["families"][0]["id"].clone();
    let before = id(&althing);
    assert!(althing.process.stop(LIMIT), "{}", althing.process.tail());
    // Nobody is named any more.
    let althing = start(host, &folder, "");
    althing.knows(nodes.len() as u64);
    assert_eq!(id(&althing), before);
}

#[test]
fn what_is_private_is_in_nobodys_table() {
    let test = "what_is_private_is_in_nobodys_table";
    let Some(Nodes { mut network, scratch, mut nodes, first }) = nodes(test, 4) else { return };
    let (payload, public, _) = make(&scratch, Format::V1);
    let private = scratch.path().join("private.torrent");
    let althing = tools::althing().unwrap_or_else(|error| panic!("{error}"));
    let output = Command::new(althing)
        .arg("create")
        .arg(payload.path())
        .arg("-o")
        .arg(&private)
        .args(["--private", "--format", "v1"])
        .output()
        .expect("the binary is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let private = Torrent::read(&private);
    let host = network.host("seed");
    let of_seed = format!("{}:", host.ip());
    let althing = start(host, &scratch.dir("seed"), &first);
    althing.knows(nodes.len() as u64);
    let into = payload.parent().to_string_lossy().into_owned();
    for torrent in [&private, &public] {
        althing.does(&["get", &torrent.file.to_string_lossy(), "-o", &into]);
    }
    // The one that was added last is there: the other would be, too.
    let hash = &public.info_hashes[0];
    althing.announces(hash);
    let found = poll(LIMIT, || {
        let said = nodes[3].ask(&format!("peers {hash}"), &format!("peers {hash}"));
        said.contains(&of_seed).then_some(())
    });
    assert!(found.is_some(), "{}", althing.process.tail());
    let hash = &private.info_hashes[0];
    writeln!(nodes[3].stdin, "peers {hash}").expect("it reads what it is told");
    let other = &public.info_hashes[0];
    nodes[3].ask(&format!("peers {other}"), &format!("peers {other}"));
    for node in &nodes {
        let output = node.process.output();
        let named = |line: &str| line.starts_with(&format!("peers {hash}")) && line.contains(':');
        assert!(!output.lines().any(named), "{output}");
    }
    let shown = althing.command(&["show", hash]).output().expect("the binary is there");
    assert!(!String::from_utf8_lossy(&shown.stdout).contains("DHT"));
}

/// Shares the newest version of something; its link.
#[track_caller]
fn share(althing: &Daemon, path: &Path) -> String {
    let mut command = althing.command(&["--json", "share", "--follow", "--name", "news"]);
    let output = command.arg(path).output().expect("the binary is there");
    let said = String::from_utf8_lossy(&output.stdout);
    let mut lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let shared = lines.find(|line| line["type"] == "shared");
    let shared = shared.unwrap_or_else(|| panic!("{output:?}\n{}", althing.process.tail()));
    let link = shared["link"].as_str().expect("a link").to_owned();
    assert!(link.starts_with("magnet:?xs=urn:btpk:"), "{link}");
    link
}

/// Waits until what is published has so high a number, and nodes have it.
#[track_caller]
fn is_published(althing: &Daemon, seq: u64) {
    let known = || {
        let shown = althing.try_json(&["show", "news"])?;
        let published = &shown["published"];
        (published["seq"] == seq && published["nodes"].as_u64() > Some(2)).then_some(())
    };
    let shown = || althing.try_json(&["show", "news"]);
    assert!(poll(LIMIT, known).is_some(), "{:?}\n{}", shown(), althing.process.tail());
}

#[test]
fn a_link_is_followed_to_each_new_version() {
    let test = "a_link_is_followed_to_each_new_version";
    let Some(Nodes { mut network, scratch, nodes, first }) = nodes(test, 4) else { return };
    let gives = start(network.host("seed"), &scratch.dir("seed"), &first);
    let host = network.host("leecher");
    let folder = scratch.dir("leecher");
    let mut takes = start(host.clone(), &folder, &first);
    gives.knows(nodes.len() as u64);
    takes.knows(nodes.len() as u64);
    let (source, copy) = (scratch.dir("news"), scratch.dir("copy"));
    let write = |name: &str, byte: u8, size: usize| {
        std::fs::write(source.join(name), vec![byte; size]).expect("it can be written");
    };
    write("stays", 1, 3_000_000);
    write("changes", 2, 300_000);
    let link = share(&gives, &source);
    is_published(&gives, 1);
    takes.does(&["get", &link, "-o", &copy.to_string_lossy()]);
    let reads = |name: &str| std::fs::read(copy.join("news").join(name)).unwrap_or_default();
    assert!(reads("stays") == vec![1; 3_000_000] && reads("changes") == vec![2; 300_000]);
    let shown = takes.json(&["show", "news"]);
    assert_eq!(shown["followed"]["seq"], 1, "{shown}");
    let old = shown["id"].clone();

    // A new version, of which most is there already: the file that has changed is shorter, and there
    // is one more. A restart looks at once, and so does not have to be waited for.
    write("changes", 3, 200_000);
    write("more", 4, 100_000);
    assert_eq!(share(&gives, &source), link);
    is_published(&gives, 2);
    assert!(takes.process.stop(LIMIT), "{}", takes.process.tail());
    let takes = start(host, &folder, &first);
    let new = poll(LIMIT, || {
        let list = takes.try_json(&["ls"])?;
        let [one] = &list.as_array()?[..] else { return None };
        (one["state"] == "seeding" && one["id"] != old).then(|| one.clone())
    });
    let said = || format!("{:?}\n{}", takes.try_json(&["ls"]), takes.process.tail());
    let new = new.unwrap_or_else(|| panic!("the new version is not there\n{}", said()));
    assert!(reads("stays") == vec![1; 3_000_000], "{}", said());
    assert!(reads("changes") == vec![3; 200_000] && reads("more") == vec![4; 100_000]);
    let fetched = new["downloaded_bytes"].as_u64().expect("a number");
    assert!(fetched < 2_000_000, "what is there was fetched again: {new}");
    assert_eq!(takes.json(&["show", "news"])["followed"]["seq"], 2);
    // Adding the link again changes nothing.
    takes.does(&["get", &link, "-o", &copy.to_string_lossy()]);
    assert_eq!(takes.json(&["ls"]).as_array().map(Vec::len), Some(1));
    // The publisher has one version, and after a restart its key.
    assert_eq!(gives.json(&["ls"]).as_array().map(Vec::len), Some(1));
}
