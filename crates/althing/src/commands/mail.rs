//! `mail`: private messages to other peers, and those that they have sent.

use crate::cli::{Global, Mail, MailCommand};
use crate::client::{Client, path};
use crate::daemon::running;
use crate::exit::Failure;
use crate::screen::table::{Align, lay_out};
use crate::screen::{Screen, text, units};
use althing_node::api::types::{MailInfo, MailRequest, MailState, MailWay};
use http::Method;
use std::io::Read as _;
use std::time::Duration;

/// Characters of a message that are shown in the list.
const SHOWN_CHARS: usize = 48;

/// Digits of a name that are shown in the list.
const NAME_DIGITS: usize = 12;

/// Bytes that are read from the standard input: more than any message has.
const INPUT_BYTES_MAX: u64 = 64 * 1024;

pub(super) async fn mail(global: &Global, args: Mail, screen: &Screen) -> Result<(), Failure> {
    let client = running(global).await?;
    match args.what {
        None | Some(MailCommand::List) => list(&client, screen).await,
        Some(MailCommand::Send { node, text }) => send(&client, node, &text, screen).await,
        Some(MailCommand::Read { mail }) => read(&client, &mail, screen).await,
        Some(MailCommand::Rm { mails }) => {
            // All numbers are of the list as it is now.
            let all: Vec<MailInfo> = client.get("/mail").await?;
            for mail in mails {
                client.act(Method::DELETE, &path("/mail/", &name(&all, &mail))).await?;
            }
            Ok(())
        }
    }
}

/// The name of a mail that is meant by its number in the list, or the beginning of its name.
fn name(all: &[MailInfo], given: &str) -> String {
    let number = given.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    let numbered = number.and_then(|number| all.get(number));
    numbered.map_or_else(|| given.to_owned(), |mail| mail.id.clone())
}

async fn send(
    client: &Client,
    to: String,
    words: &[String],
    screen: &Screen,
) -> Result<(), Failure> {
    let text = match words {
        [one] if one == "-" => {
            let mut text = String::new();
            let read = std::io::stdin().take(INPUT_BYTES_MAX).read_to_string(&mut text);
            read.map_err(|error| Failure::sentence(&format!("the text cannot be read: {error}")))?;
            text
        }
        words => words.join(" "),
    };
    let sent: MailInfo = client.post("/mail", &MailRequest { to, text }).await?;
    screen.value(&sent, false);
    screen.result(&sent.id);
    screen.note("it is on its way; `althing mail` says when it has come");
    Ok(())
}

async fn list(client: &Client, screen: &Screen) -> Result<(), Failure> {
    let all: Vec<MailInfo> = client.get("/mail").await?;
    screen.value(&all, false);
    if all.is_empty() {
        screen.note("there is no mail");
        return Ok(());
    }
    let header = [
        ("NO", Align::Right),
        ("WITH", Align::Left),
        ("AGE", Align::Right),
        ("STATE", Align::Left),
        ("TEXT", Align::Left),
    ];
    let rows: Vec<Vec<String>> = all
        .iter()
        .enumerate()
        .map(|(at, mail)| {
            let way = if mail.way == MailWay::Received { "from" } else { "to" };
            vec![
                (at + 1).to_string(),
                format!("{way} {}", mail.peer.get(..NAME_DIGITS).unwrap_or(&mail.peer)),
                age(mail.arrived_unix_s.unwrap_or(mail.sent_unix_s)),
                state(mail),
                text::cut(shown(mail).lines().next().unwrap_or(""), SHOWN_CHARS),
            ]
        })
        .collect();
    lay_out(&header, &rows).iter().for_each(|line| screen.result(line));
    Ok(())
}

async fn read(client: &Client, given: &str, screen: &Screen) -> Result<(), Failure> {
    let all: Vec<MailInfo> = client.get("/mail").await?;
    let name = name(&all, given);
    let sent = all.iter().find(|mail| mail.way == MailWay::Sent && mail.id.starts_with(&name));
    let mail: MailInfo = match sent {
        Some(sent) => sent.clone(),
        None => client.post(&format!("{}/read", path("/mail/", &name)), &()).await?,
    };
    screen.value(&mail, false);
    let way = if mail.way == MailWay::Received { "from" } else { "to" };
    screen.result(&format!("{way} {}, {} ago, {}", mail.peer, age(mail.sent_unix_s), state(&mail)));
    screen.result("");
    for line in shown(&mail).lines() {
        screen.result(&text::escape(line));
    }
    Ok(())
}

fn shown(mail: &MailInfo) -> &str {
    mail.text.as_deref().unwrap_or("(of a kind that this version cannot show)")
}

fn age(unix_s: i64) -> String {
    let passed = althing_node::clock::unix_now().0.saturating_sub(unix_s);
    units::duration(Duration::from_secs(u64::try_from(passed).unwrap_or(0)))
}

fn state(mail: &MailInfo) -> String {
    match (mail.state, mail.carriers) {
        (MailState::New, _) => "new".to_owned(),
        (MailState::Read, _) => "read".to_owned(),
        (MailState::Waiting, _) => "waiting".to_owned(),
        (MailState::Carried, count) => {
            format!("with {}", units::counted(count.unwrap_or(0).into(), "carrier"))
        }
        (MailState::Delivered, _) => "delivered".to_owned(),
        (MailState::Expired, _) => "expired".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(id: &str) -> MailInfo {
        MailInfo {
            id: id.to_owned(),
            way: MailWay::Received,
            peer: String::new(),
            sent_unix_s: 0,
            arrived_unix_s: None,
            state: MailState::New,
            carriers: None,
            text: None,
        }
    }

    #[test]
    fn mail_is_named_by_its_number_or_its_name() {
        let all = [info("ab12"), info("12cd")];
        for (given, expected) in
            [("1", "ab12"), ("2", "12cd"), ("12", "12"), ("0", "0"), ("ab", "ab")]
        {
            assert_eq!(name(&all, given), expected);
        }
    }
}
