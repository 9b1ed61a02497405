//! Arguments → verb → exit code, and nothing else.

use std::process::ExitCode;

use clap::Parser as _;

/// Threads that allocate and free all day fragment less with it than with the system's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    anteport::cli::dispatch(anteport::cli::Arguments::parse())
}
