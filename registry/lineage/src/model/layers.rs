//! `mlp`: layers of neurons, the last of them one.

use super::{Inputs, LAYERS_MAX, Link, PARAMETERS_MAX, linear::overflow, link, numbers};
use crate::{
    flaw::{Code, Flaw},
    gas::{self, Meter},
    json::Json,
    num::Num,
    reader::Reader,
};

pub(super) const KEYS: [&str; 1] = ["l"];

#[derive(Clone, Debug)]
pub(super) struct Layers(Vec<Layer>);

#[derive(Clone, Debug)]
struct Layer {
    neurons: Vec<(Vec<Num>, Num)>,
    link: Link,
}

impl Layers {
    pub(super) fn read(reader: &mut Reader, width: usize) -> Option<Self> {
        let list = reader.needed("l").and_then(|_| reader.maybe_list("l", LAYERS_MAX))?;
        let (mut layers, mut width, mut parameters) = (Vec::new(), width, 0);
        for (index, value) in list.iter().enumerate() {
            let layer = Layer::read(reader, index, value, width)?;
            parameters += layer.neurons.iter().map(|(weights, _)| weights.len() + 1).sum::<usize>();
            width = layer.neurons.len();
            layers.push(layer);
        }
        if parameters > PARAMETERS_MAX {
            reader.wrong("l", format!("at most {PARAMETERS_MAX} parameters, found {parameters}"));
        }
        if layers.is_empty() || width != 1 {
            reader.wrong("l", "the last layer has one neuron, whose output is the score");
        }
        Some(Self(layers))
    }

    pub(super) fn run(&self, inputs: &Inputs, meter: &mut Meter) -> Result<Num, Flaw> {
        let mut values = inputs.all()?;
        for (index, layer) in self.0.iter().enumerate() {
            let mut next = Vec::with_capacity(layer.neurons.len());
            for (weights, bias) in &layer.neurons {
                meter.charge(gas::PRODUCT * weights.len() as u64 + gas::NEURON)?;
                let sum =
                    Num::dot(weights, &values, *bias).ok_or_else(|| overflow(&format!("/l/{index}")))?;
                next.push(layer.link.apply(sum));
            }
            values = next;
        }
        // Reading made sure that the last layer has one neuron.
        Ok(values.first().copied().unwrap_or_default())
    }
}

impl Layer {
    fn read(reader: &mut Reader, index: usize, value: &Json, width: usize) -> Option<Self> {
        let place = reader.place_of(&format!("l/{index}"));
        let mut reader = Reader::of(value, &place, Code::EModel, &["w", "b", "act"], reader.flaws())?;
        let link = link(&mut reader, "act");
        let rows = reader.needed("w").and_then(|_| reader.maybe_list("w", PARAMETERS_MAX));
        let biases = reader.needed("b").and_then(|it| numbers(&mut reader, "b", it));
        let (rows, biases) = (rows?, biases?);
        if rows.len() != biases.len() || rows.is_empty() {
            reader.wrong("b", format!("expected one bias for each of the {} neurons", rows.len()));
            return None;
        }
        let mut neurons = Vec::new();
        for (row, (weights, bias)) in rows.iter().zip(biases).enumerate() {
            let key = format!("w/{row}");
            let weights = numbers(&mut reader, &key, weights)?;
            if weights.len() != width {
                reader.wrong(&key, format!("expected {width} weights, found {}", weights.len()));
            }
            neurons.push((weights, bias));
        }
        Some(Self { neurons, link })
    }
}
