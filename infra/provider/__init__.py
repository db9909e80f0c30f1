"""The one seam to CDKTF and its AWS provider."""
