//! One function for each command.

mod block;
pub(crate) mod choose;
mod config;
mod crawler;
mod dht;
mod files;
mod find;
mod follow;
mod get;
mod inspect;
mod lab;
mod list;
mod mail;
mod make;
mod network;
mod overlay;
mod pieces;
mod places;
mod play;
mod reach;
mod reference;
mod settings;
mod share;
mod status;
mod steer;
mod torznab;
mod tracker;
mod up;

use crate::cli::{Cli, Command, ConfigCommand, NetCommand};
use crate::demo;
use crate::exit::Failure;
use crate::screen::Screen;
use crate::signals::Signals;

/// Does what the command line says.
pub(crate) async fn run(cli: Cli, screen: &Screen, signals: Signals) -> Result<(), Failure> {
    let global = &cli.global;
    match cli.command {
        Command::Share(args) => share::share(global, args, screen, signals).await,
        Command::Get(args) => get::get(global, args, screen, signals).await,
        Command::Find(args) => find::find(global, args, screen, signals).await,
        Command::Up(args) => up::up(global, args, screen, signals).await,
        Command::Down => up::down(global, screen).await,
        Command::Status => status::status(global, screen).await,
        Command::Net(args) => match args.what {
            None | Some(NetCommand::Status) => network::status(global, screen).await,
        },
        Command::Dht(args) => dht::dht(global, args, screen).await,
        Command::Mail(args) => mail::mail(global, args, screen).await,
        Command::Overlay(args) => overlay::overlay(global, args, screen).await,
        Command::Block(args) => block::block(global, args, screen).await,
        Command::Ls(args) => list::ls(global, args, screen).await,
        Command::Show(args) => list::show(global, args, screen).await,
        Command::Files(args) => files::files(global, args, screen).await,
        Command::Pieces(args) => pieces::pieces(global, args, screen).await,
        Command::Play(args) => play::play(global, args, screen, signals).await,
        Command::Peers(args) => list::peers(global, args, screen).await,
        Command::Pause(args) => steer::pause(global, args, screen).await,
        Command::Resume(args) => steer::resume(global, args, screen).await,
        Command::Remove(args) => steer::remove(global, args, screen).await,
        Command::Verify(args) => steer::verify(global, args, screen, signals).await,
        Command::Move(args) => places::relocate(global, args, screen, signals).await,
        Command::Locate(args) => places::locate(global, args, screen).await,
        Command::Create(args) => make::create(args, screen, signals).await,
        Command::Inspect(args) => inspect::inspect(args, screen).await,
        Command::Tracker(args) => tracker::tracker(args, screen, signals).await,
        Command::Torznab => torznab::torznab(global, screen).await,
        Command::Crawler => crawler::crawler(global, screen).await,
        Command::Limit(args) => settings::limit(global, args, screen).await,
        Command::Tag(args) => settings::tag(global, args, screen).await,
        Command::Category(args) => settings::category(global, args, screen).await,
        Command::Queue(args) => settings::queue(global, args, screen).await,
        Command::Config(args) => match args.what {
            Some(ConfigCommand::Set(args)) => settings::set(global, &args, screen).await,
            _ => config::config(global, &args, screen),
        },
        Command::Demo(args) => demo::demo(args, screen, signals).await,
        Command::Lab(args) => lab::lab(args, screen, signals).await,
        Command::Completions { shell } => reference::completions(shell, screen),
        Command::Man { dir } => reference::man(dir, screen),
    }
}
