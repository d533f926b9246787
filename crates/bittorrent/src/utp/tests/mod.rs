mod delivery;
mod rates;
mod strangers;
mod world;
