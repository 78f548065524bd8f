//! `Maker` makes metrics and registers them; `metrics!` defines a room's struct of them, where the doc comment of a field is
//! its help text.

use std::collections::HashMap;

use prometheus::core::Collector;
use prometheus::{
    Error, Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

/// Makes metrics with constant labels and registers them.
pub(super) struct Maker<'a> {
    pub(super) registry: &'a Registry,
    pub(super) labels: HashMap<String, String>,
}

/// A type of metric.
pub(super) trait Metric: Collector + Clone + 'static {
    /// What it needs to know besides its name and help.
    type Shape;

    /// A metric at zero.
    fn make(opts: Opts, shape: Self::Shape) -> Result<Self, Error>;
}

/// The labels of a metric.
pub(super) struct Labels {
    pub(super) names: &'static [&'static str],
    /// Values that are exposed at 0 from the start, so that a rate over them is right at once.
    pub(super) known: &'static [&'static [&'static str]],
}

/// The upper bounds of a histogram's buckets.
pub(super) struct Buckets(pub(super) &'static [f64]);

impl Maker<'_> {
    pub(super) fn make<M: Metric>(&self, name: &str, help: &str, shape: M::Shape) -> Result<M, Error> {
        let metric = M::make(Opts::new(name, help).const_labels(self.labels.clone()), shape)?;
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}

impl Metric for IntCounter {
    type Shape = ();

    fn make(opts: Opts, (): ()) -> Result<Self, Error> {
        Self::with_opts(opts)
    }
}

impl Metric for IntGauge {
    type Shape = ();

    fn make(opts: Opts, (): ()) -> Result<Self, Error> {
        Self::with_opts(opts)
    }
}

impl Metric for Gauge {
    type Shape = ();

    fn make(opts: Opts, (): ()) -> Result<Self, Error> {
        Self::with_opts(opts)
    }
}

impl Metric for IntCounterVec {
    type Shape = Labels;

    fn make(opts: Opts, labels: Labels) -> Result<Self, Error> {
        let counters = Self::new(opts, labels.names)?;
        for values in labels.known {
            counters.get_metric_with_label_values(values)?;
        }
        Ok(counters)
    }
}

impl Metric for Histogram {
    type Shape = Buckets;

    fn make(common_opts: Opts, buckets: Buckets) -> Result<Self, Error> {
        Self::with_opts(HistogramOpts { common_opts, buckets: buckets.0.to_vec() })
    }
}

/// Defines a struct of metrics, and `new`, which makes and registers all of them. A line of it is
/// `field: type = name;`, or `field: type = name, shape;` with the [`Labels`] or [`Buckets`] of those that have some.
macro_rules! metrics {
    ($(#[$about:meta])* pub struct $room:ident {
        $($(#[doc = $help:literal])+ $field:ident: $metric:ty = $name:literal $(, $shape:expr)?;)*
    }) => {
        $(#[$about])*
        #[derive(Debug)]
        pub struct $room {
            $($(#[doc = $help])+ pub $field: $metric,)*
        }

        impl $room {
            pub(super) fn new(make: &Maker<'_>) -> Result<Self, prometheus::Error> {
                Ok(Self { $($field: make.make($name, concat!($($help),+).trim_ascii(), ($($shape)?))?,)* })
            }
        }
    };
}

pub(super) use metrics;
