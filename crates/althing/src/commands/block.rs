//! `block`: what is not wanted here, and whose lists are followed.

use crate::cli::{Block, BlockCommand, BlockKind, Global};
use crate::client::path;
use crate::daemon::running;
use crate::exit::Failure;
use crate::screen::{Screen, text, units};
use althing_node::api::types::{
    self, BlockEntry, BlockListInfo, BlockSubscription, BlocksInfo, PublishedBlocks,
};
use http::Method;

pub(super) async fn block(global: &Global, args: Block, screen: &Screen) -> Result<(), Failure> {
    let client = running(global).await?;
    match args.what.unwrap_or(BlockCommand::List) {
        BlockCommand::List => {
            let info: BlocksInfo = client.get("/blocks").await?;
            screen.value(&info, false);
            lines(&info).iter().for_each(|line| screen.result(&text::escape(line)));
        }
        BlockCommand::Add { kind, value, reason } => {
            let entry = BlockEntry { kind: kind.into(), value: value.clone(), reason };
            let info: BlocksInfo = client.post("/blocks", &entry).await?;
            screen.value(&info, false);
            screen.note(&format!("{value} is blocked here; what is here already stays"));
        }
        BlockCommand::Rm { kind, value } => {
            let query = path(&format!("/blocks?kind={}&value=", kind.name()), &value);
            client.act(Method::DELETE, &query).await?;
            screen.note(&format!("{value} is not blocked by an entry of yours any more"));
        }
        BlockCommand::Lists => {
            let lists: Vec<BlockListInfo> = client.get("/blocks/lists").await?;
            screen.value(&lists, false);
            lists.iter().for_each(|list| screen.result(&text::escape(&line(list))));
            if lists.is_empty() {
                screen.note("nobody has published one, as far as it has come here");
            }
        }
        BlockCommand::Publish { name } => {
            let said: PublishedBlocks = client.put(&path("/blocks/published/", &name), &()).await?;
            screen.value(&said, false);
            screen.result(&said.list);
            screen.note("others follow it with `althing block subscribe` and this");
        }
        BlockCommand::Unpublish { name } => {
            client.act(Method::DELETE, &path("/blocks/published/", &name)).await?;
            screen.note("it is taken back; who follows it blocks nothing by it any more");
        }
        BlockCommand::Subscribe { list } => {
            let info: BlocksInfo =
                client.post("/blocks/subscriptions", &subscription(&list)).await?;
            screen.value(&info, false);
            let BlockSubscription { author, list } = subscription(&list);
            let counts = |known: &&BlockListInfo| {
                known.author == author && list.as_ref().is_none_or(|list| *list == known.name)
            };
            let known: Vec<_> = info.lists.iter().filter(counts).collect();
            known.iter().for_each(|list| screen.result(&text::escape(&line(list))));
            if known.is_empty() {
                screen.note("nothing of it has come here yet; it counts when it does");
            }
        }
        BlockCommand::Unsubscribe { list } => {
            let BlockSubscription { author, list } = subscription(&list);
            let mut query = path("/blocks/subscriptions?author=", &author);
            if let Some(list) = list {
                query = path(&format!("{query}&list="), &list);
            }
            client.act(Method::DELETE, &query).await?;
            screen.note("what was on it is not blocked by it any more");
        }
    }
    Ok(())
}

impl BlockKind {
    fn name(self) -> &'static str {
        match self {
            BlockKind::Hash => "hash",
            BlockKind::Word => "word",
            BlockKind::Author => "author",
        }
    }
}

impl From<BlockKind> for types::BlockKind {
    fn from(kind: BlockKind) -> Self {
        match kind {
            BlockKind::Hash => types::BlockKind::Hash,
            BlockKind::Word => types::BlockKind::Word,
            BlockKind::Author => types::BlockKind::Author,
        }
    }
}

fn subscription(text: &str) -> BlockSubscription {
    match text.split_once('/') {
        Some((author, list)) => {
            BlockSubscription { author: author.to_owned(), list: Some(list.to_owned()) }
        }
        None => BlockSubscription { author: text.to_owned(), list: None },
    }
}

fn line(list: &BlockListInfo) -> String {
    let entries = units::count(list.entries);
    let follows = if list.followed { ", followed" } else { "" };
    format!("{}/{}  {entries} entries{follows}", list.author, list.name)
}

fn lines(info: &BlocksInfo) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in &info.entries {
        let kind = match entry.kind {
            types::BlockKind::Hash => "hash",
            types::BlockKind::Word => "word",
            types::BlockKind::Author => "author",
        };
        let reason = match entry.reason.as_str() {
            "" => String::new(),
            reason => format!("  ({reason})"),
        };
        lines.push(format!("{kind:<7} {}{reason}", entry.value));
    }
    for BlockSubscription { author, list } in &info.subscriptions {
        let list = list.as_ref().map_or(String::new(), |list| format!("/{list}"));
        lines.push(format!("follows {author}{list}"));
    }
    lines.extend(info.lists.iter().map(|list| format!("  {}", line(list))));
    lines.extend(info.published.iter().map(|name| format!("shares  {name}")));
    lines
}
