//! Arguments → verb → exit code, and nothing else.

use std::process::ExitCode;

/// Threads that allocate and free all day fragment less with it than with the system's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    anteport::cli::dispatch(anteport::cli::Arguments::read())
}
