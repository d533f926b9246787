//! Two ways to the same peer, tried at almost the same time (as RFC 8305 has it for addresses): the one that
//! is likelier begins, and the other follows if that one has not answered soon. The first that stands
//! is taken, and the other is given up.

use std::io;
use std::pin::pin;
use std::time::Duration;

/// What the first of the two came to that stood; if neither did, why the last one did not.
pub(crate) async fn race<T>(
    first: impl Future<Output = io::Result<T>>,
    second: impl Future<Output = io::Result<T>>,
    head_start: Duration,
) -> io::Result<T> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let failed = tokio::select! {
        result = &mut first => match result {
            Ok(stream) => return Ok(stream),
            Err(_) => true,
        },
        () = tokio::time::sleep(head_start) => false,
    };
    if failed {
        return second.await;
    }
    tokio::select! {
        result = &mut first => match result {
            Ok(stream) => Ok(stream),
            Err(_) => second.await,
        },
        result = &mut second => match result {
            Ok(stream) => Ok(stream),
            Err(_) => first.await,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ends so many milliseconds after it began.
    async fn after(
        ms: u64,
        result: Result<&'static str, io::ErrorKind>,
    ) -> io::Result<&'static str> {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        result.map_err(io::Error::from)
    }

    /// Who wins, and after how many milliseconds.
    async fn check(
        first: (u64, Result<&'static str, io::ErrorKind>),
        second: (u64, Result<&'static str, io::ErrorKind>),
        expected: (u64, Result<&'static str, io::ErrorKind>),
    ) {
        let begin = tokio::time::Instant::now();
        let racing =
            race(after(first.0, first.1), after(second.0, second.1), Duration::from_millis(200));
        let result = racing.await.map_err(|error| error.kind());
        let took = begin.elapsed().as_millis() as u64;
        assert!(took.abs_diff(expected.0) <= 2, "{took} {expected:?}");
        assert_eq!(result, expected.1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_that_stands_wins() {
        use io::ErrorKind::{ConnectionRefused, TimedOut};
        // In time: the other is never tried.
        check((150, Ok("a")), (1, Ok("b")), (150, Ok("a"))).await;
        // Late, and overtaken, or not.
        check((500, Ok("a")), (100, Ok("b")), (300, Ok("b"))).await;
        check((250, Ok("a")), (100, Ok("b")), (250, Ok("a"))).await;
        // Refused: the other begins at once.
        check((10, Err(ConnectionRefused)), (100, Ok("b")), (110, Ok("b"))).await;
        check((1000, Ok("a")), (100, Err(ConnectionRefused)), (1000, Ok("a"))).await;
        check((1000, Err(TimedOut)), (3000, Ok("b")), (3200, Ok("b"))).await;
        check((1000, Err(TimedOut)), (100, Err(ConnectionRefused)), (1000, Err(TimedOut))).await;
    }
}
