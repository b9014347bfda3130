//! Together with Litestream 0.5.17 itself: each restores what the other wrote, and they take turns on the same databases.

mod hand_over;
mod output;
mod taking_turns;
mod two_ways;
