//! The client against a tracker that is told what to say.

use super::*;
use crate::types::PeerId;
use bytes::Bytes;
use std::time::Duration;

const TRACKER: ([u8; 4], u16) = ([192, 0, 2, 1], 6969);

/// A client and the outputs of its last step.
struct Test {
    client: Client,
    now: Instant,
    out: Vec<Output>,
}

impl Test {
    fn new(policy: RetryPolicy) -> Self {
        let client = Client::new(policy, Seed::from_u64(1));
        Test { client, now: Instant::ORIGIN, out: Vec::new() }
    }

    fn input(&mut self, input: Input) {
        self.client.handle_input(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        self.out = std::iter::from_fn(|| self.client.poll_output()).collect();
    }

    /// Goes to the next deadline; says when that is.
    fn wait(&mut self) -> Option<u64> {
        let (at, _) = self.client.poll_timeout()?;
        self.now = at;
        self.client.handle_timeout(at);
        self.drain();
        Some(at.since(Instant::ORIGIN).as_secs())
    }

    fn announce(&mut self, id: u64) {
        self.input(Input::Announce {
            id: RequestId(id),
            tracker: TRACKER.into(),
            target: b"/announce".to_vec(),
            request: AnnounceRequest::new(Sha1Digest::ZERO, PeerId([0; 20]), 1),
        });
    }

    fn answer(&mut self, response: &Response) {
        self.answer_from(TRACKER.into(), response);
    }

    fn answer_from(&mut self, from: SocketAddr, response: &Response) {
        self.input(Input::Packet { from, packet: response.encode().into() });
    }

    /// The only packet that was sent.
    fn sent(&self) -> Request {
        match &self.out[..] {
            [Output::Send { to, packet }] if *to == TRACKER.into() => {
                Request::parse(packet).expect("a request")
            }
            other => panic!("{other:?}"),
        }
    }

    fn sent_transaction(&self) -> TransactionId {
        match self.sent() {
            Request::Connect { transaction }
            | Request::Announce { transaction, .. }
            | Request::Scrape { transaction, .. } => transaction,
        }
    }

    fn connect(&mut self, connection: ConnectionId) {
        let Request::Connect { transaction } = self.sent() else { panic!("{:?}", self.out) };
        self.answer(&Response::Connect { transaction, connection });
    }

    /// Whether the last step sent a connect or an announce, for each packet.
    fn kinds(&self) -> String {
        let kind = |output: &Output| match output {
            Output::Send { packet, .. } => match Request::parse(packet) {
                Some(Request::Connect { .. }) => 'c',
                Some(Request::Announce { .. }) => 'a',
                _ => 's',
            },
            Output::Announced { .. } => 'A',
            Output::Scraped { .. } => 'S',
            Output::Failed { .. } => 'F',
        };
        self.out.iter().map(kind).collect()
    }
}

fn announced(transaction: TransactionId) -> Response {
    Response::Announce {
        transaction,
        interval: Duration::from_secs(1800),
        leechers: 1,
        seeders: 2,
        peers: vec![([1, 2, 3, 4], 5).into()],
    }
}

#[test]
fn a_normal_announce() {
    let mut test = Test::new(RetryPolicy::default());
    test.announce(1);
    test.connect(77);
    let Request::Announce { connection: 77, transaction, target, .. } = test.sent() else {
        panic!("{:?}", test.out);
    };
    assert_eq!(target, b"/announce");
    test.answer(&announced(transaction));
    let response = AnnounceResponse {
        peers: vec![([1, 2, 3, 4], 5).into()],
        interval: Some(Duration::from_secs(1800)),
        seeders: Some(2),
        leechers: Some(1),
        ..AnnounceResponse::default()
    };
    assert_eq!(test.out, [Output::Announced { id: RequestId(1), response }]);
    // Repeated, it means nothing any more.
    test.answer(&announced(transaction));
    assert_eq!(test.out, []);
}

/// The times of BEP 15's examples.
#[test]
fn the_schedule_of_bep_15() {
    let mut test = Test::new(RetryPolicy::BEP_15);
    test.announce(1);
    let times: Vec<_> = (0..4).map(|_| (test.wait(), test.kinds())).collect();
    let c = || "c".to_owned();
    assert_eq!(times, [(Some(15), c()), (Some(45), c()), (Some(105), c()), (Some(225), c())]);

    // The connection id expires at 60 s, so at 105 s a new one is asked for.
    let mut test = Test::new(RetryPolicy::BEP_15);
    test.announce(1);
    test.connect(77);
    let times: Vec<_> = (0..5).map(|_| (test.wait(), test.kinds())).collect();
    let step = |at, kinds: &str| (Some(at), kinds.to_owned());
    assert_eq!(times, [step(15, "a"), step(45, "a"), step(60, ""), step(105, "c"), step(225, "c")]);
}

#[test]
fn a_dead_tracker_is_given_up() {
    let mut test = Test::new(RetryPolicy::default());
    test.announce(1);
    let times: Vec<_> = std::iter::from_fn(|| test.wait()).collect();
    assert_eq!(times, [5, 15, 35]);
    assert_eq!(test.out, [Output::Failed { id: RequestId(1), error: TrackerError::TimedOut }]);
    assert_eq!(test.client.trackers.len() + test.client.transactions.len(), 0);
}

#[test]
fn one_connection_serves_all_requests_of_a_minute() {
    let mut test = Test::new(RetryPolicy::default());
    test.announce(1);
    let Request::Connect { transaction } = test.sent() else { panic!("{:?}", test.out) };
    test.announce(2);
    test.input(Input::Scrape {
        id: RequestId(3),
        tracker: TRACKER.into(),
        info_hashes: vec![Sha1Digest::ZERO],
    });
    assert_eq!(test.out, []);
    test.answer(&Response::Connect { transaction, connection: 77 });
    assert_eq!(test.kinds(), "aas");
    let Output::Send { packet, .. } = &test.out[2] else { panic!("{:?}", test.out) };
    let Some(Request::Scrape { transaction, .. }) = Request::parse(packet) else {
        panic!("{packet:?}");
    };
    // The wrong kind of answer is none.
    test.answer(&announced(transaction));
    assert_eq!(test.out, []);
    test.answer(&Response::Scrape { transaction, entries: vec![] });
    assert_eq!(test.out, [Output::Scraped { id: RequestId(3), entries: vec![] }]);
    for id in [1, 2] {
        test.input(Input::Cancel { id: RequestId(id) });
    }
    test.now += Duration::from_secs(59);
    test.announce(4);
    assert_eq!(test.kinds(), "a");
    test.input(Input::Cancel { id: RequestId(4) });
    test.now += Duration::from_secs(1);
    test.announce(5);
    assert_eq!(test.kinds(), "c");
}

#[test]
fn forged_answers_are_not_believed() {
    let mut test = Test::new(RetryPolicy::default());
    test.announce(1);
    let transaction = test.sent_transaction();
    let connect = |transaction| Response::Connect { transaction, connection: 66 };
    for from in [([192, 0, 2, 2], 6969), ([192, 0, 2, 1], 6970)] {
        test.answer_from(from.into(), &connect(transaction));
        assert_eq!(test.out, []);
    }
    test.answer(&connect(transaction ^ 1));
    assert_eq!(test.out, []);
    test.answer(&connect(transaction));
    let transaction = test.sent_transaction();
    test.answer_from(([192, 0, 2, 2], 6969).into(), &announced(transaction));
    test.answer(&announced(transaction ^ 1));
    test.answer(&connect(transaction));
    test.input(Input::Packet { from: TRACKER.into(), packet: Bytes::from_static(b"noise") });
    assert_eq!(test.out, []);
    // The same address in IPv6 clothing is the tracker's.
    let mapped = ([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x201], 6969).into();
    test.answer_from(mapped, &announced(transaction));
    assert_eq!(test.kinds(), "A");
}

#[test]
fn an_error_ends_the_request_and_the_connection() {
    let mut test = Test::new(RetryPolicy::default());
    test.announce(1);
    test.connect(77);
    let transaction = test.sent_transaction();
    test.answer(&Response::Error { transaction, message: "who are you".into() });
    let error = refused("who are you");
    assert_eq!(test.out, [Output::Failed { id: RequestId(1), error }]);
    test.announce(2);
    assert_eq!(test.kinds(), "c");
    let transaction = test.sent_transaction();
    test.answer(&Response::Error { transaction, message: "go away".into() });
    assert_eq!(test.kinds(), "F");
    assert_eq!(test.client.poll_timeout(), None);
}

#[test]
fn a_late_answer_counts() {
    let mut test = Test::new(RetryPolicy::default());
    test.announce(1);
    test.connect(77);
    let transaction = test.sent_transaction();
    test.wait();
    assert_eq!(test.sent_transaction(), transaction);
    test.answer(&announced(transaction));
    assert_eq!(test.kinds(), "A");
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut test = Test::new(RetryPolicy::default());
    let request = AnnounceRequest::new(Sha1Digest::ZERO, PeerId([0; 20]), 1);
    for id in 0..UDP_REQUESTS_MAX as u64 + 1 {
        let tracker = SocketAddr::from(((id as u32).to_be_bytes(), 1));
        let target = Vec::new();
        let request = request.clone();
        test.input(Input::Announce { id: RequestId(id), tracker, target, request });
    }
    let id = RequestId(UDP_REQUESTS_MAX as u64);
    assert_eq!(test.out, [Output::Failed { id, error: TrackerError::TooManyRequests }]);
    while test.wait().is_some() {}
    assert_eq!(test.client.trackers.len() + test.client.transactions.len(), 0);
}

#[test]
fn connection_ids_are_bounded() {
    let mut test = Test::new(RetryPolicy::default());
    for id in 0..UDP_CONNECTIONS_MAX as u32 + 1 {
        let tracker = SocketAddr::from((id.to_be_bytes(), 1));
        let info_hashes = vec![Sha1Digest::ZERO];
        test.input(Input::Scrape { id: RequestId(id.into()), tracker, info_hashes });
        let [Output::Send { packet, .. }] = &test.out[..] else { panic!("{:?}", test.out) };
        let Some(Request::Connect { transaction }) = Request::parse(packet) else {
            panic!("{packet:?}");
        };
        test.answer_from(tracker, &Response::Connect { transaction, connection: 1 });
        test.input(Input::Cancel { id: RequestId(id.into()) });
    }
    assert_eq!(test.client.trackers.len(), UDP_CONNECTIONS_MAX);
    assert_eq!(test.wait(), Some(60));
    assert_eq!(test.client.poll_timeout(), None);
    assert_eq!(test.client.trackers.len(), 0);
}
