"""How often single runs satisfy a claim, and what that takes."""
