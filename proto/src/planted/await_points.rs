//! Tasks that stay at an await point, so that a test can drop them there.
//!
//! A task that is made with [`staying`] is counted each time it waits. Once a test has asked for a point with [`hold`],
//! the task that reaches it stays there: it is not polled any more until it is dropped. Others go on.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The one point that is held in this process.
static HELD: Mutex<Option<Point>> = Mutex::new(None);

struct Point {
    name: &'static str,
    /// Times that such tasks still wait before one stays; none where one has.
    left: usize,
    waker: Option<Waker>,
}

fn held() -> MutexGuard<'static, Option<Point>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has the task called `name` that comes to the await point number `point` stay there: counted from 1, over all tasks
/// of that name together, from here on. One at a time in a process.
///
/// # Panics
/// Where another is held.
#[must_use]
pub fn hold(name: &'static str, point: usize) -> Hold {
    let before = held().replace(Point { name, left: point, waker: None });
    assert!(before.is_none(), "one point at a time");
    Hold(())
}

/// Ends once a task stays at the point. Dropping it lets tasks pass that have not come to it.
#[derive(Debug)]
pub struct Hold(());

impl Future for Hold {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut held = held();
        match held.as_mut() {
            Some(point) if point.left > 0 => {
                point.waker = Some(context.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        *held() = None;
    }
}

/// Counts that a task called `name` waits, and has it stay where it is the one.
fn stays(name: &str) -> Option<Stays> {
    let mut held = held();
    let point = held.as_mut().filter(|point| point.name == name && point.left > 0)?;
    point.left -= 1;
    if point.left > 0 {
        return None;
    }
    if let Some(waker) = point.waker.take() {
        waker.wake();
    }
    Some(Stays::new())
}

/// How many tasks stay and have not been dropped.
static STAYING: AtomicUsize = AtomicUsize::new(0);

/// How many tasks stay at a point and have not been dropped.
#[must_use]
pub fn how_many_stay() -> usize {
    STAYING.load(Ordering::SeqCst)
}

/// A future that stays where a test wants it.
pub struct Staying<F> {
    name: &'static str,
    inner: Pin<Box<F>>,
    stays: Option<Stays>,
}

/// One that stays, counted until it is dropped.
struct Stays;

impl Stays {
    fn new() -> Self {
        STAYING.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Stays {
    fn drop(&mut self) {
        STAYING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// `future`, as a task called `name` that can be made to stay.
pub fn staying<F: Future>(name: &'static str, future: F) -> Staying<F> {
    Staying { name, inner: Box::pin(future), stays: None }
}

impl<F: Future> Future for Staying<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if self.stays.is_some() {
            return Poll::Pending;
        }
        let polled = self.inner.as_mut().poll(context);
        if polled.is_pending() {
            self.stays = stays(self.name);
        }
        polled
    }
}
