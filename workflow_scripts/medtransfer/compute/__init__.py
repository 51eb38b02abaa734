"""What work costs, and who does it where. Costs, work, estimates and batches import no torch: every job parses them."""
