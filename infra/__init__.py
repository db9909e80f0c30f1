"""The platform team's half: what lives long, as Terraform synthesized by CDKTF."""
