//! What nodes do: as nodes do, or as somebody has them do who means no good. These are the same machines, and
//! what they hear or say is sifted.

use althing_overlay::NodeId;
use althing_overlay::wire::Message;

/// What a node does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Conduct {
    /// As nodes do.
    #[default]
    Honest,
    /// Swallows questions and answers.
    Swallow,
    /// Passes nothing on, records or questions, and names nobody but its like.
    Hush,
    /// Offers what it has not; as nodes do besides.
    Poison,
}

impl Conduct {
    /// Whether it means no good: those that swallow may only be broken.
    pub(super) fn is_attack(self) -> bool {
        matches!(self, Conduct::Hush | Conduct::Poison)
    }

    /// Whether its machine is told what has come.
    pub(super) fn heeds(self, message: &Message) -> bool {
        let is_search = matches!(message, Message::Query(_) | Message::Answer { .. });
        match self {
            Conduct::Honest | Conduct::Poison => true,
            Conduct::Swallow | Conduct::Hush => !is_search,
        }
    }

    /// What becomes of what its machine says.
    pub(super) fn says(
        self,
        mut message: Message,
        of: impl Fn(NodeId) -> Conduct,
    ) -> Option<Message> {
        if self != Conduct::Hush {
            return Some(message);
        }
        match &mut message {
            Message::Gossip { .. }
            | Message::IHave(_)
            | Message::Records(_)
            | Message::Offer(_)
            | Message::Reconcile { .. }
            | Message::ForwardJoin { .. } => return None,
            Message::Shuffle { contacts, .. } | Message::ShuffleReply { contacts, .. } => {
                contacts.retain(|contact| of(contact.node) == Conduct::Hush);
            }
            _ => {}
        }
        Some(message)
    }
}
