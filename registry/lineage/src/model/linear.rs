//! `linreg`: a weighted sum and a bias, rounded once.

use super::{Inputs, Link, link, number, numbers};
use crate::{
    flaw::{Code, Flaw},
    gas::{self, Meter},
    num::Num,
    reader::Reader,
};

pub(super) const KEYS: [&str; 3] = ["b", "w", "link"];

#[derive(Clone, Debug)]
pub(super) struct Linear {
    weights: Vec<Num>,
    bias: Num,
    link: Link,
}

impl Linear {
    pub(super) fn read(reader: &mut Reader, width: usize) -> Option<Self> {
        let bias = reader.maybe("b").map_or(Some(Num::ZERO), |it| number(reader, "b", it));
        let weights = reader.needed("w").and_then(|it| numbers(reader, "w", it));
        let link = link(reader, "link");
        if weights.as_ref().is_some_and(|it| it.len() != width) {
            reader.wrong("w", format!("expected one weight for each of the {width} inputs"));
        }
        Some(Self { weights: weights?, bias: bias?, link })
    }

    pub(super) fn run(&self, inputs: &Inputs, meter: &mut Meter) -> Result<Num, Flaw> {
        let inputs = inputs.all()?;
        meter.charge(gas::WEIGHT * self.weights.len() as u64)?;
        let sum = Num::dot(&self.weights, &inputs, self.bias).ok_or_else(|| overflow("/w"))?;
        Ok(self.link.apply(sum))
    }
}

/// A weighted sum that leaves the range of numbers.
pub(super) fn overflow(place: &str) -> Flaw {
    Flaw::new(Code::EOverflow, place, "the weighted sum is not smaller than 10^27")
}
