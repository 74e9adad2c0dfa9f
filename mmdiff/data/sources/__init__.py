"""Which clips there are, listed without opening any of them."""
