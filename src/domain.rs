//! The words of the trade: events, money, places, decisions.
