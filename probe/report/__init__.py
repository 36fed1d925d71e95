"""What people are told: tables, pages, explanations. Nothing here decides."""
