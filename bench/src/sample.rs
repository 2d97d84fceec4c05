//! Numbers measured several times.

use serde::{Deserialize, Serialize};

/// The values of one figure, in the order in which they were measured. Never empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    /// `None` without values.
    pub(crate) fn new(values: Vec<f64>) -> Option<Self> {
        (!values.is_empty()).then_some(Self(values))
    }

    pub(crate) fn values(&self) -> &[f64] {
        &self.0
    }

    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
    }

    pub(crate) fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub(crate) fn max(&self) -> f64 {
        self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// `self` divided by `other`, value by value: of pairs that were measured in turn.
    pub(crate) fn ratios_to(&self, other: &Self) -> Option<Self> {
        Self::new(self.0.iter().zip(&other.0).map(|(mine, theirs)| mine / theirs).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middles() {
        let shown = |values: &[f64]| {
            let sample = Sample::new(values.to_vec()).unwrap();
            format!("{} {} {}", sample.median(), sample.min(), sample.max())
        };
        assert_eq!(shown(&[9.0, 1.0, 2.0]), "2 1 9");
        assert_eq!(shown(&[9.0, 1.0, 2.0, 4.0]), "3 1 9");
        assert_eq!(Sample::new(Vec::new()), None);
    }
}
