//! The buttress crates behind one name, one feature each
