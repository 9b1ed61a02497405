//! What metrics are made of: counts, levels and histograms that are written with relaxed atomic
//! adds, and the families that `prometheus` writes as text.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram as HistogramProto, LabelPair, Metric, MetricFamily,
    MetricType,
};

use crate::kept::KeyState;

/// Nanoseconds of a microsecond, and of a millisecond.
pub(super) const US: u64 = 1_000;
pub(super) const MS: u64 = 1_000_000;

/// Something that is counted.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// One more.
    pub fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// So many more.
    pub fn add_many(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    /// As many as somebody else has counted.
    pub(super) fn set(&self, total: u64) {
        self.0.fetch_max(total, Relaxed);
    }

    /// As many more as `other` counted.
    pub(super) fn add_all(&self, other: &Self) {
        self.0.fetch_add(other.value(), Relaxed);
    }

    pub(super) fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// So many of them.
pub(super) fn counts(length: usize) -> Vec<Count> {
    std::iter::repeat_with(Count::default).take(length).collect()
}

/// Something that goes up and down.
#[derive(Debug, Default)]
pub struct Level(AtomicI64);

/// Keys of one purpose.
#[derive(Debug, Default)]
pub struct KeyMetrics {
    pub(super) count: Level,
    /// When they were read last without a fault, in Unix seconds.
    pub(super) read: Level,
    /// 1 if their files hold something that cannot be used.
    pub(super) faulty: Level,
}

impl KeyMetrics {
    /// They are like this now.
    pub fn set(&self, state: &KeyState) {
        self.count.set(i64::try_from(state.count).unwrap_or(i64::MAX));
        self.read.set(state.read.unix_seconds());
        self.faulty.set(i64::from(state.fault.is_some()));
    }
}

impl Level {
    /// One more.
    pub fn up(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// One less.
    pub fn down(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    /// So many more, or less.
    pub fn shift(&self, by: i64) {
        self.0.fetch_add(by, Relaxed);
    }

    /// As many more as `other` is.
    pub(super) fn add_all(&self, other: &Self) {
        self.shift(other.0.load(Relaxed));
    }

    /// This many now.
    pub fn set(&self, value: i64) {
        self.0.store(value, Relaxed);
    }

    /// Whether there is none.
    pub fn is_zero(&self) -> bool {
        self.0.load(Relaxed) == 0
    }

    #[expect(clippy::cast_precision_loss, reason = "nobody has 2^53 of anything here")]
    pub(super) fn value(&self) -> f64 {
        self.0.load(Relaxed) as f64
    }
}

/// A histogram of `N` buckets, the last of them without an upper bound.
#[derive(Debug)]
pub(super) struct Histogram<const N: usize> {
    buckets: [Count; N],
    nanos: AtomicU64,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self { buckets: std::array::from_fn(|_| Count::default()), nanos: AtomicU64::new(0) }
    }
}

impl<const N: usize> Histogram<N> {
    pub(super) fn observe<const BOUNDS: usize>(&self, bounds: &[u64; BOUNDS], value: Duration) {
        const { assert!(N == BOUNDS + 1) };
        let nanos = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
        let bucket = bounds.iter().take_while(|bound| nanos > **bound).count();
        if let Some(count) = self.buckets.get(bucket) {
            count.add();
        }
        self.nanos.fetch_add(nanos, Relaxed);
    }

    pub(super) fn add(&self, other: &Self) {
        for (sum, count) in self.buckets.iter().zip(&other.buckets) {
            sum.add_all(count);
        }
        self.nanos.fetch_add(other.nanos.load(Relaxed), Relaxed);
    }

    #[expect(clippy::cast_precision_loss, reason = "a sum of seconds is read as a rate")]
    pub(super) fn metric(&self, bounds: &[u64], labels: Vec<LabelPair>) -> Metric {
        let mut total = 0;
        let mut buckets = Vec::with_capacity(N);
        let upper_bounds = bounds.iter().map(|nanos| *nanos as f64 / 1e9);
        for (count, upper_bound) in self.buckets.iter().zip(upper_bounds.chain([f64::INFINITY])) {
            total += count.value();
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(upper_bound);
            bucket.set_cumulative_count(total);
            buckets.push(bucket);
        }
        // The encoder writes `+Inf` itself, from the count.
        buckets.pop();
        let mut histogram = HistogramProto::default();
        histogram.set_bucket(buckets);
        histogram.set_sample_count(total);
        histogram.set_sample_sum(self.nanos.load(Relaxed) as f64 / 1e9);
        let mut metric = Metric::from_label(labels);
        metric.set_histogram(histogram);
        metric
    }
}

/// A family of metrics that is being written.
pub(super) struct Family(MetricFamily);

impl Family {
    fn new(name: &str, help: &str, kind: MetricType) -> Self {
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        Self(family)
    }

    pub(super) fn push(&mut self, metric: Metric) {
        self.0.mut_metric().push(metric);
    }

    pub(super) fn done(self) -> MetricFamily {
        self.0
    }
}

pub(super) fn counters(name: &str, help: &str) -> Family {
    Family::new(name, help, MetricType::COUNTER)
}

pub(super) fn gauges(name: &str, help: &str) -> Family {
    Family::new(name, help, MetricType::GAUGE)
}

pub(super) fn histograms(name: &str, help: &str) -> Family {
    Family::new(name, help, MetricType::HISTOGRAM)
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
pub(super) fn counter(labels: Vec<LabelPair>, value: u64) -> Metric {
    decimal_counter(labels, value as f64)
}

/// For what is counted in parts of its unit.
pub(super) fn decimal_counter(labels: Vec<LabelPair>, value: f64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(value);
    let mut metric = Metric::from_label(labels);
    metric.set_counter(counter);
    metric
}

pub(super) fn gauge(labels: Vec<LabelPair>, value: f64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut metric = Metric::from_label(labels);
    metric.set_gauge(gauge);
    metric
}

pub(super) fn labels(parts: &[&[(&str, &str)]]) -> Vec<LabelPair> {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    parts.iter().flat_map(|part| part.iter()).map(pair).collect()
}
