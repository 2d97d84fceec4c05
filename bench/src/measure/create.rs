//! `offshoot branch create` as a whole.

use anyhow::Result;

use super::{Bench, Parent, ms};
use crate::figure::{Figure, Unit};
use crate::sample::Sample;

/// Most milliseconds for a branch.
const TARGET_MS: f64 = 50.0;
/// How much longer the large database may take.
const TARGET_RATIO: f64 = 1.2;

pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let big = bench.big()?;
    let small = bench.small("create")?;
    let (small_times, big_times) = {
        let mut parents = [Parent::wake(&small)?, Parent::wake(big)?];
        take_turns(&mut parents, bench.args.runs())?
    };
    small.remove()?;
    let (Some(small), Some(big)) = (Sample::new(small_times), Sample::new(big_times)) else {
        return Ok(Vec::new());
    };
    let ratios = big.ratios_to(&small);
    let of_medians = format!("of the medians {:.3}", big.median() / small.median());
    let name = |size: &str| format!("`branch create` from a running parent of {size}, whole command");
    let ratio_name = format!("ratio of the two, {} to 150 MB", bench.big_name());
    Ok(vec![
        Figure::new(name("150 MB"), Unit::Ms, Some(small)).at_most(TARGET_MS),
        Figure::new(name(&bench.big_name()), Unit::Ms, Some(big)).at_most(TARGET_MS),
        Figure::new(ratio_name, Unit::Ratio, ratios).at_most(TARGET_RATIO).note(of_medians),
    ])
}

/// A, B, A, B …; one more at the start, which does not count: it finds cold caches.
fn take_turns(parents: &mut [Parent<'_>; 2], runs: usize) -> Result<(Vec<f64>, Vec<f64>)> {
    let mut times = (Vec::new(), Vec::new());
    for index in 0..=runs {
        for (which, parent) in parents.iter_mut().enumerate() {
            parent.change()?;
            let took = ms(parent.project.create(&format!("create-{index}"), "main")?);
            if index > 0 {
                if which == 0 { times.0.push(took) } else { times.1.push(took) }
            }
        }
    }
    Ok(times)
}
