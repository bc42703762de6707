//! What an implementation costs: every call of one goes through [`metered`], which counts its allocations, and which
//! callgrind watches (`--toggle-collect`). What the harness does around it is not its own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

static IS_INSIDE: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static ALLOCATED: AtomicU64 = AtomicU64::new(0);
static FREED: AtomicU64 = AtomicU64::new(0);

/// The system's allocator, and two sums.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn note(size: usize) {
    ALLOCATED.fetch_add(size as u64, Relaxed);
    if IS_INSIDE.load(Relaxed) {
        ALLOCATIONS.fetch_add(1, Relaxed);
    }
}

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        FREED.fetch_add(layout.size() as u64, Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        FREED.fetch_add(layout.size() as u64, Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Calls into an implementation. Not to be nested.
#[inline(never)]
pub(crate) fn metered<T>(call: impl FnOnce() -> T) -> T {
    IS_INSIDE.store(true, Relaxed);
    let result = call();
    IS_INSIDE.store(false, Relaxed);
    result
}

/// Allocations and reallocations in implementations so far.
pub(crate) fn allocations() -> u64 {
    ALLOCATIONS.load(Relaxed)
}

/// Bytes on the heap, of the whole process.
pub(crate) fn live() -> u64 {
    ALLOCATED.load(Relaxed) - FREED.load(Relaxed)
}
