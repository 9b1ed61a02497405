//! What the kernel says of this process, read when somebody asks. Names and meaning are those that
//! Prometheus' own libraries have made common. What cannot be read, as on other systems than Linux,
//! has no series. Deliberately not here: what a hardened unit hides (`ProcSubset=pid`), so that the
//! start is told by our own clock.

use std::fs;
use std::sync::OnceLock;
use std::time::Instant;

use prometheus::proto::MetricFamily;

use super::series::{counters, decimal_counter, gauge, gauges};
use super::{EPOCH, Timestamp};

/// Ticks of a second in `/proc`: part of Linux's interface, on all that we are built for.
const TICKS: f64 = 100.0;

/// When this process began.
#[derive(Debug)]
pub(super) struct Start {
    made: Instant,
    told: OnceLock<Timestamp>,
}

impl Start {
    pub(super) fn now() -> Self {
        Self { made: Instant::now(), told: OnceLock::new() }
    }

    /// The same ever after, though clocks be set: who counts restarts counts its changes.
    fn at(&self, now: Timestamp) -> Timestamp {
        *self.told.get_or_init(|| now.before(self.made.elapsed()))
    }
}

/// Adds a family for each thing that is known.
pub(super) fn collect(families: &mut Vec<MetricFamily>, start: &Start, now: Timestamp) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let mut cpu =
        counters("process_cpu_seconds_total", "Processor time of this process, user and system.");
    if let Some(seconds) = cpu_seconds(&stat) {
        cpu.push(decimal_counter(Vec::new(), seconds));
    }
    families.push(cpu.done());
    let began = start.at(now).since(EPOCH).as_secs_f64();
    for (name, help, value) in [
        ("process_resident_memory_bytes", "Memory of this process.", resident(&status)),
        ("process_open_fds", "File descriptors that are open.", open_descriptors()),
        ("process_max_fds", "File descriptors that may be open.", most_descriptors(&limits)),
        ("process_start_time_seconds", "When this process began, in Unix time.", Some(began)),
    ] {
        let mut family = gauges(name, help);
        if let Some(value) = value {
            family.push(gauge(Vec::new(), value));
        }
        families.push(family.done());
    }
}

/// A field of proc(5)'s `stat`, by its number there. The second one, the program's name, may hold
/// spaces and parentheses.
fn field(stat: &str, number: usize) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((field(stat, 14)? + field(stat, 15)?) / TICKS)
}

fn resident(status: &str) -> Option<f64> {
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(kibibytes.trim().strip_suffix(" kB")?.parse::<f64>().ok()? * 1024.0)
}

/// None where there is no limit.
fn most_descriptors(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "nobody has 2^53 descriptors")]
fn open_descriptors() -> Option<f64> {
    // Linux 6.2 and later say how many there are; before, they are counted, and the one that
    // counts is not meant.
    let known = fs::metadata("/proc/self/fd").ok()?.len();
    if known > 0 {
        return Some(known as f64);
    }
    let counted = fs::read_dir("/proc/self/fd").ok()?.count();
    Some(counted.saturating_sub(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "42 (a) (b c) S 1 42 42 0 -1 4194560 900 0 0 0 250 125 0 0 20 0 3 0 \
        12345 23456789 2560 18446744073709551615";

    #[test]
    fn a_program_with_any_name_is_read() {
        assert_eq!(cpu_seconds(STAT), Some(3.75));
        assert_eq!(resident("Name:\tx\nVmRSS:\t   2048 kB\n"), Some(2_097_152.0));
        let limits = "Limit Soft Hard Units\nMax open files            1024      4096      files\n";
        assert_eq!(most_descriptors(limits), Some(1024.0));
    }

    #[test]
    fn what_cannot_be_read_is_absent() {
        for stat in ["", "42 (a", "42 (a) S 1", "42 (a) S 1 42 42 0 -1 4194560 900 0 0 0 x y z"] {
            assert_eq!(cpu_seconds(stat), None, "{stat}");
        }
        assert_eq!(resident("VmRSS:\t many kB\n"), None);
        let endless = "Max open files            unlimited            unlimited            files\n";
        assert_eq!(most_descriptors(endless), None);
    }

    #[test]
    fn the_start_stays_where_it_was() {
        let start = Start::now();
        let noon = Timestamp::from_unix_seconds(1_800_000_000);
        let told = start.at(noon);
        assert!(told <= noon && noon.since(told).as_secs() < 60);
        assert_eq!(start.at(Timestamp::from_unix_seconds(1_900_000_000)), told);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_very_process_is_known() {
        let mut families = Vec::new();
        collect(&mut families, &Start::now(), Timestamp::from_unix_seconds(1_800_000_000));
        assert_eq!(families.len(), 5);
        for family in families.iter().filter(|family| family.name() != "process_max_fds") {
            assert_eq!(family.get_metric().len(), 1, "{}", family.name());
        }
        let held: Vec<fs::File> =
            (0..20).map(|_| fs::File::open("/proc/self/stat").unwrap()).collect();
        assert!(open_descriptors().unwrap() >= 20.0);
        drop(held);
    }
}
