//! Two ends of a link and between them somebody who breaks, repeats, leaves out and makes up frames. What
//! is heard was said, in order, each once; and after an error nothing is heard any more.

use althing_base::Seed;
use althing_overlay::link::{Event, Link};
use althing_overlay::{Keys, NetworkKey};
use bytes::Bytes;
use std::collections::VecDeque;

struct Side {
    link: Link,
    /// Frames for it that are under way.
    coming: VecDeque<Bytes>,
    /// The last that came.
    last: Bytes,
    /// Messages to it that were said and not heard.
    unheard: VecDeque<Bytes>,
    dead: bool,
}

/// Takes two bytes for each thing that happens.
pub fn run(data: &[u8]) {
    let (ada, bob) = (Keys::from_secret(&[1; 32]), Keys::from_secret(&[2; 32]));
    let network = NetworkKey::public();
    let (caller, first) = Link::initiate(&ada, network, Some(bob.node()), Seed::from_u64(1));
    let called = Link::respond(&bob, network, Seed::from_u64(2));
    let side = |link| Side {
        link,
        coming: VecDeque::new(),
        last: Bytes::new(),
        unheard: VecDeque::new(),
        dead: false,
    };
    let mut sides = [side(caller), side(called)];
    sides[1].coming.push_back(first);
    for (at, step) in data.as_chunks::<2>().0.iter().enumerate().take(100) {
        let &[what, how] = step;
        let to = usize::from(what & 1);
        match what >> 1 & 7 {
            // Said, if the link is up.
            0 | 1 => {
                let message = Bytes::from(vec![how; usize::from(how) * 9]);
                if let Ok(frame) = sides[1 - to].link.seal(&message) {
                    sides[to].unheard.push_back(message);
                    sides[to].coming.push_back(frame);
                }
            }
            2..=4 => {
                if let Some(frame) = sides[to].coming.pop_front() {
                    deliver(&mut sides, to, &frame, true);
                }
            }
            5 => {
                if let Some(frame) = sides[to].coming.pop_front() {
                    let mut broken = frame.to_vec();
                    let place = usize::from(how) * 7 % broken.len();
                    broken[place] ^= 1 | how;
                    deliver(&mut sides, to, &broken, false);
                }
            }
            6 => {
                let again = sides[to].last.clone();
                deliver(&mut sides, to, &again, false);
            }
            _ => {
                let made_up = &data[at..data.len().min(at + usize::from(how))];
                deliver(&mut sides, to, made_up, false);
            }
        }
    }
}

fn deliver(sides: &mut [Side; 2], to: usize, frame: &[u8], honest: bool) {
    let side = &mut sides[to];
    side.last = Bytes::copy_from_slice(frame);
    let heard = side.link.heed(frame);
    assert!(!side.dead || heard.is_err());
    match heard {
        Ok(Event::Message(message)) => {
            assert!(honest);
            assert_eq!(Some(message), side.unheard.pop_front());
        }
        Ok(Event::Answer(answer) | Event::Up { answer: Some(answer), .. }) => {
            sides[1 - to].coming.push_back(answer);
        }
        Ok(Event::Up { answer: None, .. } | Event::Stands) => {}
        Err(_) => side.dead = true,
    }
}
