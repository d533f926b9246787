//! Where packets are put together into runs of equal length, and outputs wait to be polled.

use super::io::{Output, Run};
use super::limits::{RUN_BYTES_MAX, RUN_PACKETS_MAX};
use std::collections::VecDeque;
use std::net::SocketAddr;

/// What the machine has to say.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    outputs: VecDeque<Output>,
    run: Option<Run>,
    packets: usize,
    /// Bytes of the packets that have been put in, for figures.
    pub(super) bytes: u64,
}

impl Outbox {
    /// Room for a packet of `len` bytes, which is to be written now. `more` is how many bytes are
    /// likely to follow.
    pub(super) fn packet(
        &mut self,
        to: SocketAddr,
        dont_fragment: bool,
        len: usize,
        more: usize,
    ) -> &mut Vec<u8> {
        self.bytes += len as u64;
        let joins = self.run.as_ref().is_some_and(|run| {
            let behind_full_ones = run.data.len() == run.stride * self.packets;
            run.to == to
                && run.dont_fragment == dont_fragment
                && behind_full_ones
                && len <= run.stride
                && self.packets < RUN_PACKETS_MAX
                && run.data.len() + len <= RUN_BYTES_MAX
        });
        if joins {
            self.packets += 1;
        } else {
            self.finish_run();
            self.packets = 1;
        }
        let run = self.run.get_or_insert_with(|| {
            let most = (RUN_BYTES_MAX / len.max(1)).min(RUN_PACKETS_MAX) * len;
            let data = Vec::with_capacity((len + more).min(most.max(len)));
            Run { to, stride: len, data, dont_fragment }
        });
        &mut run.data
    }

    /// No other packet joins the run.
    pub(super) fn finish_run(&mut self) {
        if let Some(run) = self.run.take() {
            self.outputs.push_back(Output::Send(run));
        }
    }

    pub(super) fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(super) fn pop(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.outputs.is_empty() && self.run.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_packets_run_together_and_a_shorter_one_ends_the_run() {
        let (a, b) = ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:1".parse().unwrap());
        let mut outbox = Outbox::default();
        let sizes = [(a, 1000), (a, 1000), (a, 20), (a, 1000), (a, 1200), (b, 1200), (b, 1200)];
        for (to, len) in sizes {
            let data = outbox.packet(to, true, len, 0);
            data.resize(data.len() + len, 1);
        }
        for _ in 0..100 {
            let data = outbox.packet(b, false, 1400, 0);
            data.resize(data.len() + 1400, 1);
        }
        outbox.finish_run();
        let mut runs = Vec::new();
        while let Some(Output::Send(run)) = outbox.pop() {
            runs.push((
                run.stride,
                run.packets().map(<[u8]>::len).sum::<usize>(),
                run.packets().count(),
            ));
        }
        assert_eq!(
            runs,
            [
                (1000, 2020, 3),
                (1000, 1000, 1),
                (1200, 1200, 1),
                (1200, 2400, 2),
                (1400, 64_400, 46),
                (1400, 64_400, 46),
                (1400, 11_200, 8)
            ]
        );
    }
}
