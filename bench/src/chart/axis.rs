//! An axis in powers of ten, or from zero.

use super::shown;

/// Values from `low` to `high` on pixels from `from` to `to`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    powers: bool,
}

impl Axis {
    /// In powers of ten. Values must be above zero.
    pub(super) fn powers(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min).max(1e-6);
        let high = values.fold(low, f64::max);
        // Air at both ends, so that no mark lies on the frame.
        Self { low: low / 1.5, high: high * 1.5, from, to, powers: true }
    }

    /// From zero.
    pub(super) fn from_zero(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let high = values.fold(0.0, f64::max);
        Self { low: 0.0, high: if high > 0.0 { high * 1.05 } else { 1.0 }, from, to, powers: false }
    }

    pub(super) fn place(&self, value: f64) -> f64 {
        let share = if self.powers {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            value / self.high
        };
        self.from + share * (self.to - self.from)
    }

    /// Where lines of the grid are, with their labels.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let values: Vec<f64> = if self.powers { self.tens() } else { self.steps() };
        values.into_iter().map(|value| (self.place(value), shown(value))).collect()
    }

    fn tens(&self) -> Vec<f64> {
        let decades = (self.high / self.low).log10();
        let within: &[f64] = if decades > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let first = self.low.log10().floor() as i32;
        let last = self.high.log10().ceil() as i32;
        let all = (first..=last).flat_map(|power| within.iter().map(move |digit| digit * 10_f64.powi(power)));
        all.filter(|value| (self.low..=self.high).contains(value)).collect()
    }

    fn steps(&self) -> Vec<f64> {
        let rough = self.high / 5.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|digit| digit * power).find(|step| *step >= rough);
        let step = step.unwrap_or(rough);
        (0..=6).map(|index| f64::from(index) * step).filter(|value| *value <= self.high).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_within_the_axis() {
        let labels =
            |axis: Axis| -> Vec<String> { axis.ticks().into_iter().map(|(_, label)| label).collect() };
        assert_eq!(
            labels(Axis::powers([150.0, 1500.0].into_iter(), 0.0, 100.0)),
            ["100", "200", "500", "1\u{202f}000", "2\u{202f}000"]
        );
        assert_eq!(labels(Axis::from_zero([48.0].into_iter(), 0.0, 100.0)), ["0", "20", "40"]);
        assert_eq!(labels(Axis::powers([1.0, 90_000.0].into_iter(), 0.0, 1.0)).len(), 6);
    }

    #[test]
    fn a_value_lies_between_the_ends() {
        let axis = Axis::powers([10.0, 1000.0].into_iter(), 400.0, 0.0);
        assert!((axis.place(100.0) - 200.0).abs() < 1e-9);
        assert!(Axis::from_zero(std::iter::empty(), 0.0, 10.0).place(0.0).abs() < 1e-9);
    }
}
