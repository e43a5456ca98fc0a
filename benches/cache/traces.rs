//! Requests in the shapes that caches meet, from a generator with a fixed seed.
#![allow(dead_code, unreachable_pub, reason = "each of those who share it uses a part")]

/// `SplitMix64`.
pub struct Random(pub u64);

impl Random {
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn fraction(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Draws ranks with a chance that falls as a power of the rank.
pub struct Zipf(Vec<f64>);

impl Zipf {
    pub fn new(keys: u32, power: f64) -> Self {
        let mut sum = 0.0;
        let weights = (1..=keys).map(|rank| {
            sum += f64::from(rank).powf(-power);
            sum
        });
        Self(weights.collect())
    }

    pub fn draw(&self, random: &mut Random) -> u64 {
        let at = random.fraction() * self.0.last().unwrap();
        self.0.partition_point(|sum| *sum < at) as u64
    }
}
