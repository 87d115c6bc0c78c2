"""What commands print: tables, a live screen, lines as things happen, and the words in them."""
