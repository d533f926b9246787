//! Searches, as the API shows them.

use super::super::types as api;
use crate::session::{
    Answer, Find, FindKind, FindOptions, FindState, FindVia, Session, WANTED_MAX,
};
use althing_overlay::records::Content;
use std::time::Duration;

/// Answers after which nobody is asked any further, unless the request says otherwise.
const WANTED: u8 = 20;

pub(in super::super) fn find_options(request: api::FindRequest) -> FindOptions {
    FindOptions {
        words: request.words,
        via: match request.via {
            api::FindVia::Auto => FindVia::Auto,
            api::FindVia::Walk => FindVia::Walk,
            api::FindVia::Dht => FindVia::Dht,
            api::FindVia::Super => FindVia::Super,
        },
        kind: match request.kind {
            api::FindKind::Any => FindKind::Any,
            api::FindKind::File => FindKind::Files,
            api::FindKind::Page => FindKind::Pages,
        },
        wanted: request.limit.unwrap_or(WANTED).clamp(1, WANTED_MAX),
        watch: request.watch,
    }
}

pub(in super::super) fn find_state(state: FindState) -> api::FindState {
    match state {
        FindState::Asking => api::FindState::Asking,
        FindState::Watching => api::FindState::Watching,
        FindState::Ended => api::FindState::Ended,
    }
}

pub(in super::super) fn find(session: &Session, find: &Find) -> api::FindInfo {
    let now = find.snapshot();
    api::FindInfo {
        id: now.id,
        words: now.options.words,
        via: match now.options.via {
            FindVia::Auto => api::FindVia::Auto,
            FindVia::Walk => api::FindVia::Walk,
            FindVia::Dht => api::FindVia::Dht,
            FindVia::Super => api::FindVia::Super,
        },
        kind: match now.options.kind {
            FindKind::Any => api::FindKind::Any,
            FindKind::Files => api::FindKind::File,
            FindKind::Pages => api::FindKind::Page,
        },
        watch: now.options.watch,
        state: find_state(now.state),
        cost: api::FindCost {
            messages: now.cost.messages,
            bytes: now.cost.bytes,
            peers: now.cost.peers,
            took_ms: millis(now.took),
        },
        age_s: now.age.as_secs(),
        answers: find.answers().iter().map(|answer| find_answer(session, answer)).collect(),
    }
}

pub(in super::super) fn find_answer(session: &Session, answer: &Answer) -> api::FindAnswer {
    let page = |page: &crate::session::AnswerPage| api::FindPage {
        path: page.path.clone(),
        snippet: page.snippet.clone(),
    };
    api::FindAnswer {
        number: answer.number,
        name: answer.name.clone(),
        info_hash: answer.info_hashes.v1().map(|hash| hash.to_string()),
        info_hash_v2: answer.info_hashes.v2().map(|hash| hash.to_string()),
        magnet: answer.magnet().to_string(),
        size_bytes: answer.size_bytes,
        files: answer.files,
        content: content(answer.content).to_owned(),
        tags: answer.tags.clone(),
        about: answer.about.clone(),
        authors: answer.authors.iter().map(ToString::to_string).collect(),
        seeders: answer.seeders,
        pages: answer.pages.iter().map(page).collect(),
        here: answer.here,
        network: answer.network,
        after_ms: millis(answer.after),
        network_after_ms: answer.network_after.map(millis),
        torrent: session.of_hashes(answer.info_hashes).map(|id| id.to_string()),
    }
}

/// What files are, in a word.
pub(in super::super) fn content(content: Content) -> &'static str {
    match content {
        Content::VIDEO => "video",
        Content::AUDIO => "audio",
        Content::TEXT => "text",
        Content::IMAGES => "images",
        Content::SOFTWARE => "software",
        Content::DATA => "data",
        _ => "other",
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
