//! From the API's settings of a torrent to the session's, and back.

use super::error::ApiError;
use super::types::{self as api, ErrorCode, NoLimit, RatioLimit, TimeLimit};
use crate::session::{Goal, Label, Ratio, TorrentChange, TorrentSettings};
use althing_bittorrent::Priority;
use althing_bittorrent::metainfo::FileIndex;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

/// Reads a request for a change.
pub(super) fn change(request: api::ChangeRequest) -> Result<TorrentChange, ApiError> {
    let limit = |limit: Option<u64>| limit.map(NonZeroU64::new);
    Ok(TorrentChange {
        category: request.category.as_deref().map(category).transpose()?,
        tags: request.tags.as_deref().map(labels).transpose()?,
        add_tags: labels(&request.add_tags)?,
        remove_tags: labels(&request.remove_tags)?,
        upload_limit: limit(request.upload_limit_bytes_per_s),
        download_limit: limit(request.download_limit_bytes_per_s),
        ratio_limit: request.ratio_limit.map(ratio_goal).transpose()?,
        seed_time_limit: request.seed_time_limit_s.map(time_goal),
        forced: request.forced,
        priorities: request
            .priorities
            .into_iter()
            .map(|(file, wanted)| (FileIndex(file), priority_of(wanted)))
            .collect(),
        pieces: request
            .pieces
            .into_iter()
            .map(|range| (range.first..=range.last, range.priority.map(priority_of)))
            .collect(),
        connections: request.connections.map(NonZeroU32::new),
        upload_slots: request.upload_slots.map(NonZeroU32::new),
        sequential: request.sequential,
        super_seeding: request.super_seeding,
    })
}

/// A category's name; `None` for the empty text.
pub(super) fn category(text: &str) -> Result<Option<Label>, ApiError> {
    if text.is_empty() { Ok(None) } else { label(text).map(Some) }
}

/// A category's or tag's name.
pub(super) fn label(text: &str) -> Result<Label, ApiError> {
    let bad = |error: crate::session::LabelError| {
        ApiError::sentence(ErrorCode::BadRequest, &error, "use a shorter name")
    };
    text.parse().map_err(bad)
}

/// Several.
pub(super) fn labels<C: FromIterator<Label>>(texts: &[String]) -> Result<C, ApiError> {
    texts.iter().map(|text| label(text)).collect()
}

/// A limit by ratio.
pub(super) fn ratio_goal(limit: RatioLimit) -> Result<Goal<Ratio>, ApiError> {
    Ok(match limit {
        RatioLimit::Word(NoLimit::Inherited) => Goal::Inherited,
        RatioLimit::Word(NoLimit::Never) => Goal::Never,
        RatioLimit::Ratio(ratio) => Goal::At(Ratio::from_f64(ratio).ok_or_else(|| {
            ApiError::new(
                ErrorCode::BadRequest,
                format!("{ratio} cannot be a ratio"),
                "use a number from 0 to 4000000, \"never\" or \"inherited\"",
            )
        })?),
    })
}

/// A limit by time.
pub(super) fn time_goal(limit: TimeLimit) -> Goal<Duration> {
    match limit {
        TimeLimit::Word(NoLimit::Inherited) => Goal::Inherited,
        TimeLimit::Word(NoLimit::Never) => Goal::Never,
        TimeLimit::Seconds(seconds) => Goal::At(Duration::from_secs(seconds)),
    }
}

/// A limit by ratio, as the API says it.
pub(super) fn ratio_limit(goal: Goal<Ratio>) -> RatioLimit {
    match goal {
        Goal::Inherited => RatioLimit::Word(NoLimit::Inherited),
        Goal::Never => RatioLimit::Word(NoLimit::Never),
        Goal::At(ratio) => RatioLimit::Ratio(ratio.as_f64()),
    }
}

/// A limit by time, as the API says it.
pub(super) fn time_limit(goal: Goal<Duration>) -> TimeLimit {
    match goal {
        Goal::Inherited => TimeLimit::Word(NoLimit::Inherited),
        Goal::Never => TimeLimit::Word(NoLimit::Never),
        Goal::At(time) => TimeLimit::Seconds(time.as_secs()),
    }
}

/// What is set for a torrent.
pub(super) fn settings(settings: &TorrentSettings) -> api::TorrentSettings {
    api::TorrentSettings {
        upload_limit_bytes_per_s: settings.upload_limit.map(NonZeroU64::get),
        download_limit_bytes_per_s: settings.download_limit.map(NonZeroU64::get),
        ratio_limit: ratio_limit(settings.ratio_limit),
        seed_time_limit_s: time_limit(settings.seed_time_limit),
        forced: settings.forced,
        priorities: settings
            .priorities
            .iter()
            .map(|(file, wanted)| (file.0, priority(*wanted)))
            .collect(),
        pieces: settings
            .pieces
            .iter()
            .map(|(range, wanted)| api::PieceRange {
                first: *range.start(),
                last: *range.end(),
                priority: Some(priority(wanted)),
            })
            .collect(),
        connections: settings.connections.map(NonZeroU32::get),
        upload_slots: settings.upload_slots.map(NonZeroU32::get),
        sequential: settings.sequential,
        super_seeding: settings.super_seeding,
    }
}

pub(super) fn priority(priority: Priority) -> api::FilePriority {
    match priority {
        Priority::Skip => api::FilePriority::Skip,
        Priority::Low => api::FilePriority::Low,
        Priority::Normal => api::FilePriority::Normal,
        Priority::High => api::FilePriority::High,
    }
}

fn priority_of(priority: api::FilePriority) -> Priority {
    match priority {
        api::FilePriority::Skip => Priority::Skip,
        api::FilePriority::Low => Priority::Low,
        api::FilePriority::Normal => Priority::Normal,
        api::FilePriority::High => Priority::High,
    }
}
