"""The soak: thousands of streamed requests, left, cancelled and spoiled at random, after which nothing may be left."""
