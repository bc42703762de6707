//! Which of many sockets have something to receive, without asking all of them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::io::SocketId;

/// The sockets to look at. One task waits for it.
#[derive(Debug, Default)]
pub(super) struct Readiness(Arc<Mutex<Ready>>);

/// Each socket is in the queue at most once, so it never grows beyond their number.
#[derive(Debug, Default)]
struct Ready {
    queue: VecDeque<Arc<Token>>,
    task: Option<Waker>,
}

/// A socket's place. Its waker puts it into the queue.
#[derive(Debug)]
pub(super) struct Token {
    id: SocketId,
    queued: AtomicBool,
    ready: Arc<Mutex<Ready>>,
}

impl Readiness {
    /// A token for a socket, which is looked at soon.
    pub(super) fn token(&self, id: SocketId) -> Arc<Token> {
        let token = Arc::new(Token { id, queued: AtomicBool::new(false), ready: self.0.clone() });
        token.wake_by_ref();
        token
    }

    /// The next socket to look at. It comes back when its token is woken: by the socket that was polled with it,
    /// or by whoever has not finished with it.
    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<SocketId> {
        let mut ready = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = ready.queue.pop_front() {
            token.queued.store(false, Ordering::Release);
            return Poll::Ready(token.id);
        }
        match &mut ready.task {
            Some(task) => task.clone_from(cx.waker()),
            task => *task = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Readiness {
    /// Tokens hold the queue, and the queue tokens: this ends the circle.
    fn drop(&mut self) {
        let mut ready = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ready.queue.clear();
        ready.task = None;
    }
}

impl Wake for Token {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        ready.queue.push_back(self.clone());
        let task = ready.task.take();
        drop(ready);
        if let Some(task) = task {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_looked_at_once_for_each_time_it_is_woken_in_turn() {
        let readiness = Readiness::default();
        let tokens = [0, 1].map(|id| readiness.token(SocketId(id)));
        let mut cx = Context::from_waker(Waker::noop());
        tokens[0].wake_by_ref();
        assert_eq!(readiness.poll_next(&mut cx), Poll::Ready(SocketId(0)));
        tokens[0].wake_by_ref();
        assert_eq!(readiness.poll_next(&mut cx), Poll::Ready(SocketId(1)));
        assert_eq!(readiness.poll_next(&mut cx), Poll::Ready(SocketId(0)));
        assert_eq!(readiness.poll_next(&mut cx), Poll::Pending);
    }

    #[test]
    fn the_waiting_task_is_woken() {
        #[derive(Default)]
        struct Task(AtomicBool);
        impl Wake for Task {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let (readiness, task) = (Readiness::default(), Arc::<Task>::default());
        let token = readiness.token(SocketId(3));
        let waker = Waker::from(task.clone());
        let mut cx = Context::from_waker(&waker);
        assert_eq!(readiness.poll_next(&mut cx), Poll::Ready(SocketId(3)));
        assert_eq!(readiness.poll_next(&mut cx), Poll::Pending);
        assert!(!task.0.load(Ordering::Relaxed));
        token.wake_by_ref();
        assert!(task.0.load(Ordering::Relaxed));
        assert_eq!(readiness.poll_next(&mut cx), Poll::Ready(SocketId(3)));
    }
}
