//! Two ways to do one thing, measured in turns.

use super::spread::Spread;
use anyhow::Result;

/// Measures pairs and prints them. Who goes first alternates, so that neither always finds the warmer
/// machine.
pub(super) fn measure(
    count: u8,
    names: [&str; 2],
    mut first: impl FnMut(u8) -> Result<f64>,
    mut second: impl FnMut(u8) -> Result<f64>,
) -> Result<()> {
    println!("==> {count} pairs");
    let mut pairs = Vec::new();
    for i in 0..count {
        let (one, other) = if i % 2 == 0 {
            let one = first(i)?;
            (one, second(i)?)
        } else {
            let other = second(i)?;
            (first(i)?, other)
        };
        println!(
            "    {} {one:>7.3} s    {} {other:>7.3} s    ratio {:.2}",
            names[0],
            names[1],
            one / other
        );
        pairs.push((one, other));
    }
    report(names, &pairs);
    Ok(())
}

fn report(names: [&str; 2], pairs: &[(f64, f64)]) {
    let one = Spread::of(pairs.iter().map(|(one, _)| *one));
    let other = Spread::of(pairs.iter().map(|(_, other)| *other));
    let ratio = Spread::of(pairs.iter().map(|(one, other)| one / other));
    println!("\n                    min     median        max");
    for (name, spread) in [
        (names[0], &one),
        (names[1], &other),
        ("pairwise ratio", &ratio),
    ] {
        println!(
            "{name:<16}{:>7.3}    {:>7.3}    {:>7.3}",
            spread.min, spread.median, spread.max
        );
    }
    println!("\nratio of medians: {:.2}", one.median / other.median);
    println!(
        "spread of the {} alone, which is the machine's: {:.2}",
        names[1],
        other.max / other.min
    );
}
